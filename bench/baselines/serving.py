"""Serves a baseline as the service is served: one uvicorn process on uvloop and httptools, without an access log."""

import asyncio
import json
import socket
import sys
from typing import Any

import uvicorn
import uvloop

BACKLOG = 4096


def serve(app: Any) -> None:
    """Serve on any free port, say where in one line, and end with SIGTERM."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    config = uvicorn.Config(app, http="httptools", access_log=False, server_header=False, backlog=BACKLOG)
    config.timeout_graceful_shutdown = 1
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve([listener]))
