"""The page of queues and workers."""
