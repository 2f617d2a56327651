"""The start page: what needs a hand, and a first worker to paste."""
