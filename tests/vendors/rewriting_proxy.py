"""A server that answers as the service does, but for some bytes: what a dialect with a mistake would say."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.service_process import free_port

# The proxy's own business, and what rewriting makes untrue.
_NOT_PASSED = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "date", "server"}


def _rewriting(upstream: httpx.AsyncClient, words: Mapping[bytes, bytes]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        headers = [(name, value) for name, value in request.headers.raw if name.decode() not in _NOT_PASSED]
        answer = await upstream.request(request.method, path, content=await request.body(), headers=headers)
        body = answer.content
        for found, put in words.items():
            body = body.replace(found, put)
        passed = {name: value for name, value in answer.headers.items() if name not in _NOT_PASSED}
        await Response(body, answer.status_code, passed)(scope, receive, send)

    return app


@asynccontextmanager
async def rewriting_proxy(url: str, words: Mapping[bytes, bytes]) -> AsyncIterator[str]:
    """Serve, on a port of its own, what `url` answers with these words replaced."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as upstream:
        port = free_port()
        config = uvicorn.Config(_rewriting(upstream, words), port=port, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await serving
