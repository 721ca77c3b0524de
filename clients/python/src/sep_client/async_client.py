"""The asynchronous client."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, TypeVar

import httpx

from sep_client import calls, models
from sep_client.endpoints import AsyncSender, Endpoints
from sep_client.errors import ApiError, NoAnswerError
from sep_client.exchange import (
    STREAM_SILENCE_S,
    answer_of,
    failure_of,
    headers_of,
    manifold_in,
    may_retry,
    pause,
    request_of,
)

T = TypeVar("T")


class AsyncClient(Endpoints, AsyncSender):
    """Calls a SEP stack.

    Every method raises ``ApiError`` (or what it is split into) for an error of the stack and
    ``NoAnswerError`` when nobody answers. Reads are tried again, writes never.

    Args:
        url: where the stack is.
        key: a key of the stack; reading may need none.
        timeout: seconds to wait for an answer.
        retries: how often a read is tried again.
        http: options of the underlying ``httpx`` client, such as ``verify``.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 15.0,
        retries: int = 2,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient()
        self._http.base_url = httpx.URL(url)
        self._http.timeout = httpx.Timeout(timeout)
        self._http.headers.update(headers_of(key))
        self._retries = retries

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

    async def send(self, call: calls.Call[T]) -> T:
        """The answer to a call; a read is tried again."""
        attempt = 0
        while True:
            last = attempt >= self._retries
            try:
                response = await self._http.send(request_of(self._http, call))
            except httpx.TransportError as error:
                if last or not may_retry(call, None):
                    raise NoAnswerError(f"{call.path}: {error!r}") from error
            else:
                if last or not may_retry(call, response.status_code):
                    return answer_of(call, response)
            await asyncio.sleep(pause(attempt))
            attempt += 1

    async def manifolds(
        self, instrument: str | None = None, *, reconnect: bool = True
    ) -> AsyncIterator[models.Manifold]:
        """Live manifolds, for as long as one asks.

        A stream that breaks is opened again: it begins with the last known manifold of each
        instrument, so nothing has to be caught up with.
        """
        attempt = 0
        while True:
            try:
                async for manifold in self._stream(calls.manifolds(instrument)):
                    attempt = 0
                    yield manifold
            except (ApiError, NoAnswerError) as error:
                fatal = isinstance(error, ApiError) and error.status < 500 and error.status != 200
                if fatal or not reconnect:
                    raise
            if not reconnect:
                return
            await asyncio.sleep(pause(attempt))
            attempt += 1

    async def _stream(
        self, call: calls.Call[models.StreamManifoldsResponse]
    ) -> AsyncIterator[models.Manifold]:
        request = request_of(self._http, call)
        request.extensions["timeout"] = httpx.Timeout(STREAM_SILENCE_S).as_dict()
        try:
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise failure_of(response)
                async for line in response.aiter_lines():
                    if (manifold := manifold_in(line)) is not None:
                        yield manifold
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise NoAnswerError(f"the stream broke: {error!r}") from error
