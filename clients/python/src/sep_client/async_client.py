"""The asynchronous client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from sep_client import calls, journal_calls, models
from sep_client.call import Call
from sep_client.endpoints import AsyncSender, Endpoints
from sep_client.errors import ApiError, NoAnswerError
from sep_client.exchange import (
    Outcome,
    Reconnects,
    Retries,
    configure,
    error_in,
    event_in,
    file_request_of,
    manifold_in,
    request_of,
    response_of,
    stream_request_of,
)

T = TypeVar("T")


class AsyncClient(Endpoints, AsyncSender):
    """``Client`` with coroutines: the same arguments, methods and errors."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 15.0,
        retries: int = 2,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient(trust_env=False)
        self._retries = retries
        configure(self._http, url, key, timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """The response to a call; a read is retried."""
        retries = Retries(call, self._retries)
        while True:
            outcome = await self._attempt(call)
            delay = retries.delay_after(outcome)
            if delay is None:
                return response_of(call, outcome)
            await asyncio.sleep(delay)

    async def manifolds(
        self, instrument: str | None = None, *, reconnect: bool = True
    ) -> AsyncIterator[models.Manifold]:
        """Live manifolds, without end; see ``Client.manifolds``."""
        reconnects = Reconnects(enabled=reconnect)
        while True:
            try:
                async for manifold in self._stream(calls.manifolds(instrument), manifold_in):
                    reconnects.received()
                    yield manifold
            except (ApiError, NoAnswerError) as error:
                reconnects.raise_if_final(error)
            delay = reconnects.delay()
            if delay is None:
                return
            await asyncio.sleep(delay)

    async def events(
        self, last_event_id: str | None = None, *, reconnect: bool = True
    ) -> AsyncIterator[models.Event]:
        """What happens, in order and without end; see ``Client.events``."""
        reconnects = Reconnects(enabled=reconnect)
        while True:
            try:
                async for event in self._stream(calls.events(last_event_id), event_in):
                    reconnects.received()
                    last_event_id = event.id
                    yield event
            except (ApiError, NoAnswerError) as error:
                reconnects.raise_if_final(error)
            delay = reconnects.delay()
            if delay is None:
                return
            await asyncio.sleep(delay)

    async def export(
        self,
        kind: str = "trades",
        file_format: str = "csv",
        *,
        since: str | float | None = None,
        until: str | float | None = None,
        instrument: str | None = None,
    ) -> AsyncIterator[bytes]:
        """A file in pieces; see ``Client.export``."""
        call = journal_calls.export(kind, file_format, since, until, instrument)
        try:
            response = await self._http.send(file_request_of(self._http, call), stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise error_in(response)
                async for piece in response.aiter_bytes():
                    yield piece
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise NoAnswerError(f"the file broke off: {error!r}") from error

    async def _attempt(self, call: Call[T]) -> Outcome:
        try:
            return await self._http.send(request_of(self._http, call))
        except httpx.TransportError as error:
            return error

    async def _stream(self, call: Call[Any], read: Callable[[str], T | None]) -> AsyncIterator[T]:
        try:
            response = await self._http.send(stream_request_of(self._http, call), stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise error_in(response)
                async for line in response.aiter_lines():
                    if (found := read(line)) is not None:
                        yield found
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise NoAnswerError(f"the stream broke: {error!r}") from error
