"""What the server itself can do: a constant JSON answer of a given size, without a framework, a key or a database."""

import json
import sys
from typing import Any

from bench.baselines.serving import serve


class Constant:
    """An application that answers everything alike."""

    def __init__(self, size: int) -> None:
        empty = json.dumps({"id": ""})
        self._body = json.dumps({"id": "x" * (size - len(empty))}).encode()
        self._headers = [(b"content-type", b"application/json"), (b"content-length", str(len(self._body)).encode())]

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        del receive
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await send({"type": "http.response.body", "body": self._body})


if __name__ == "__main__":
    serve(Constant(int(sys.argv[1])))
