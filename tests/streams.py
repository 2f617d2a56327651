"""Server-sent events, read one by one over a socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx


class Stream:
    """Reads server-sent events one by one."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, Any, str | None]:
        """Return name, data and id of the next event; `("", None, None)` at the end."""
        name, data, event_id = "", None, None
        async for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif field == "id":
                event_id = value
            elif not line and name:
                return name, data, event_id
        return "", None, None


@asynccontextmanager
async def streamed(api: httpx.AsyncClient, path: str, **kwargs: Any) -> AsyncIterator[Stream]:
    async with asyncio.timeout(20), api.stream("GET", path, **kwargs) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)
