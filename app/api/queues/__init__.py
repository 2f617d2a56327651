"""Queues: depths and rules."""
