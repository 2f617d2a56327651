"""What makes one process do what others need ten for: batching of reads and writes, the change feed, and waiting on
it.
"""
