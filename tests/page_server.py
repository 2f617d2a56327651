"""A web server of pages that come when the test lets them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"a page of 25 bytes, no more"[:25]


class Pages:
    """`ready` is there at once, `missing` is 404, and `held` waits for `release`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requested = threading.Event()
        self.release = threading.Event()

    def __getitem__(self, name: str) -> str:
        return f"{self.url}/{name}"


@contextmanager
def serve_pages() -> Iterator[Pages]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/held":
                pages.requested.set()
                pages.release.wait()
            body = b"" if self.path == "/missing" else PAGE
            try:
                self.send_response(200 if body else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                # Whoever wanted it has been told to stop.
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pages = Pages(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield pages
    finally:
        pages.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
