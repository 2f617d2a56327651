"""What puts load on a server, in processes of their own: the generator must not share the interpreter it measures."""
