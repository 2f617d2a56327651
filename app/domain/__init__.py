"""What a job is and what may happen to it, in plain Python: no clock, no I/O, no framework."""
