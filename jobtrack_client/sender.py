"""Sending a call and reading its response, synchronously and with asyncio: the base classes of the two clients."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Self, TypeVar

import httpx

from jobtrack_client.call import Call, connection
from jobtrack_client.retry import NOT_ANSWERED, Retry

T = TypeVar("T")

# For connecting, for writing, and for reading a response that the service is not asked to hold.
TIMEOUT_SECONDS = 30.0


class Sender:
    """Sends calls over a pool of connections, and repeats them as `retry` allows."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Create the connection pool; nothing is sent. `transport`, an httpx transport, replaces the network."""
        arguments = connection(url, api_key)
        self.url: str = arguments["base_url"]
        self._timeout = timeout_seconds
        self._retry = retry or Retry()
        self._http = httpx.Client(**arguments, transport=transport)
        # Whether the service has ever answered this client, so that its address is right.
        self.answered = False

    def send(self, call: Call[T]) -> T:
        """Send a call, repeat it where that is safe and may help, and return its result."""
        return self.exchange(call)[0]

    def exchange(self, call: Call[T]) -> tuple[T, httpx.Response]:
        """Send a call like `send`, and return its result together with the response."""
        began = time.monotonic()
        for attempt in itertools.count(1):
            arguments = call.arguments(time.monotonic() - began, self._timeout)
            try:
                response = self._http.request(**arguments)
            except NOT_ANSWERED as error:
                pause: float | None = self._retry.after_error(call, attempt, error, self.url)
            else:
                pause = self._retry.after_answer(call, attempt, response)
                if pause is None:
                    result = call.result(response, self.url)
                    self.answered = True
                    return result, response
            time.sleep(pause or 0)
        raise AssertionError  # the loop never ends by itself

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Return the client; the end of the block closes its connections."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()


class AsyncSender:
    """`Sender` for asyncio."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Create the connection pool; nothing is sent. `transport`, an httpx transport, replaces the network."""
        arguments = connection(url, api_key)
        self.url: str = arguments["base_url"]
        self._api_key = api_key
        self._timeout = timeout_seconds
        self._retry = retry or Retry()
        self._http = httpx.AsyncClient(**arguments, transport=transport)
        # Whether the service has ever answered this client, so that its address is right.
        self.answered = False
        self._transport = transport

    def synchronous(self) -> Sender:
        """Return a sender to the same service with the same key, for a thread that may not wait for the event loop.

        It shares the transport only if that is a synchronous one as well; else it uses the network.
        """
        transport: object = self._transport
        shared = transport if isinstance(transport, httpx.BaseTransport) else None
        return Sender(self.url, self._api_key, timeout_seconds=self._timeout, transport=shared)

    async def send(self, call: Call[T]) -> T:
        """Send a call, repeat it where that is safe and may help, and return its result."""
        return (await self.exchange(call))[0]

    async def exchange(self, call: Call[T]) -> tuple[T, httpx.Response]:
        """Send a call like `send`, and return its result together with the response."""
        began = time.monotonic()
        for attempt in itertools.count(1):
            arguments = call.arguments(time.monotonic() - began, self._timeout)
            try:
                response = await self._http.request(**arguments)
            except NOT_ANSWERED as error:
                pause: float | None = self._retry.after_error(call, attempt, error, self.url)
            else:
                pause = self._retry.after_answer(call, attempt, response)
                if pause is None:
                    result = call.result(response, self.url)
                    self.answered = True
                    return result, response
            await asyncio.sleep(pause or 0)
        raise AssertionError  # the loop never ends by itself

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Return the client; the end of the block closes its connections."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()
