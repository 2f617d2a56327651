"""Background work that is safe to run in every process at once."""
