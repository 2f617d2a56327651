"""Jobs: create, list, read, wait, rerun, cancel, delete; their inputs and items."""
