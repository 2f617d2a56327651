"""Per-process machinery: read batching, group commit, the change feed and long polling."""
