"""The page of jobs: a filter, its matches, and what can be done with many at once."""
