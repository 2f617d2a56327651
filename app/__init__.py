"""Jobtrack: a self-hosted service that tracks background jobs."""
