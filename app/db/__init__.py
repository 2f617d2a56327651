"""SQL, and nothing else: each function takes a connection, sends one statement and gives domain objects back."""
