"""Addresses of pages, whose query is their state."""

from urllib.parse import urlencode


def link(path: str, fragment: str = "", **query: str) -> str:
    """Write an address; parameters that hold nothing are left out."""
    written = urlencode({name: value for name, value in query.items() if value})
    return path + (f"?{written}" if written else "") + (f"#{fragment}" if fragment else "")
