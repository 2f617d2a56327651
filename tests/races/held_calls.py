"""Calls that hold something open at a service, each on a connection of its own."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx

CUT = -1
"""In the place of a status: the answer had begun, and the connection was dropped before its end."""
INPUT = b"x" * 16 * 1024 * 1024
LENGTH = {"Content-Length": "1000"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@dataclass(frozen=True)
class Call:
    """A call that holds something open, and how it is to end."""

    operation: str
    request: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    ends_with: int = 401


CALLS = (
    Call("jobs_get", "GET /v1/jobs/JOB?wait=50"),
    Call("jobs_get", "GET /v1/jobs/JOB?wait=50", headers={"If-None-Match": '"1"'}),
    Call("jobs_wait", "POST /v1/jobs/wait", {"ids": ["JOB"], "wait": -1}),
    Call("immuta_jobs_statuses", "POST /jobs/statuses", {"jobIds": ["JOB"], "wait": 50}),
    Call("jobs_logs", "GET /v1/jobs/JOB/logs?wait=50"),
    Call("claims_create", "POST /v1/claims", {"worker": "w", "queues": ["QUEUE"], "wait": 50}),
    Call("jobs_stream", "GET /v1/jobs/JOB/stream", ends_with=CUT),
    Call("events_stream", "GET /v1/events", ends_with=CUT),
    Call("jobs_get_input", "GET /v1/jobs/JOB/input", ends_with=CUT),
    Call("jobs_put_input", "PUT /v1/jobs/JOB/input", headers=LENGTH),
    Call("captain_index_file", "POST /v2/collections/c/index/file", headers=LENGTH | FORM),
    Call("docent_agent_runs_create", "POST /rest/COLLECTION/agent_runs", headers=LENGTH),
)


class Held:
    """A call under way, on a connection of its own."""

    def __init__(self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.call = call
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, client: httpx.AsyncClient, key: str, call: Call, **names: str) -> "Held":
        line, body = call.request, "" if call.body is None else json.dumps(call.body)
        for name, value in names.items():
            line, body = line.replace(name, value), body.replace(name, value)
        headers = {"Host": "t", "Authorization": f"Bearer {key}", **call.headers}
        if body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port, limit=1024)
        writer.write(f"{line} HTTP/1.1\r\n{head}\r\n{body}".encode())
        await writer.drain()
        return cls(call, reader, writer)

    async def end(self) -> int:
        """Read the answer to its end; returns its status, or CUT for one that breaks off."""
        try:
            status, _, _ = await self.answer()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            return CUT
        return status

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read the answer to its end; returns its status, its headers and, if it is short, its body."""
        body = b""
        try:
            status = int((await self._reader.readline()).split()[1])
            headers = {}
            while line := (await self._reader.readline()).strip():
                name, _, value = line.decode().partition(": ")
                headers[name.lower()] = value
            if "content-length" in headers:
                body = await self._reader.readexactly(int(headers["content-length"]))
            else:
                while size := int((await self._reader.readline() or b"z").strip(), 16):
                    await self._reader.readexactly(size + 2)
        finally:
            self.close()
        return status, headers, body

    def close(self) -> None:
        """Leave without reading the answer."""
        self._writer.close()


async def held_by(client: httpx.AsyncClient) -> int:
    text = (await client.get("/metrics")).text
    found = re.search(r"^jobtrack_held_requests\{.*\} (\d+)", text, re.MULTILINE)
    assert found, text
    return int(found[1])
