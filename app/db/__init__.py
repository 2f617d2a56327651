"""SQL, and nothing else: each function takes a connection, sends one statement and returns domain objects."""
