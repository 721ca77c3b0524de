"""The synchronous client."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from sep_client import calls, journal_calls, models
from sep_client.call import Call
from sep_client.endpoints import Endpoints, Sender
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


class Client(Endpoints, Sender):
    """Calls a SEP stack.

    Every method raises ``ApiError`` (or a subclass) for an error of the stack, and
    ``NoAnswerError`` without a response. Reads are retried, writes never.

    Args:
        url: URL of the stack.
        key: a key of the stack; reading may need none.
        timeout: seconds to wait for a response.
        retries: how often a read is retried.
        http: an ``httpx`` client with options such as ``verify``.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 15.0,
        retries: int = 2,
        http: httpx.Client | None = None,
    ) -> None:
        self._http = http or httpx.Client(trust_env=False)
        self._retries = retries
        configure(self._http, url, key, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """The response to a call; a read is retried."""
        retries = Retries(call, self._retries)
        while True:
            outcome = self._attempt(call)
            delay = retries.delay_after(outcome)
            if delay is None:
                return response_of(call, outcome)
            time.sleep(delay)

    def manifolds(
        self, instrument: str | None = None, *, reconnect: bool = True
    ) -> Iterator[models.Manifold]:
        """Live manifolds, without end.

        A stream that breaks is opened again. It begins with the last known manifold of each
        instrument, so nothing is missed.
        """
        reconnects = Reconnects(enabled=reconnect)
        while True:
            try:
                for manifold in self._stream(calls.manifolds(instrument), manifold_in):
                    reconnects.received()
                    yield manifold
            except (ApiError, NoAnswerError) as error:
                reconnects.raise_if_final(error)
            delay = reconnects.delay()
            if delay is None:
                return
            time.sleep(delay)

    def events(
        self, last_event_id: str | None = None, *, reconnect: bool = True
    ) -> Iterator[models.Event]:
        """What happens, in order and without end: decisions, orders, flips, weights and the rest.

        A stream that breaks is opened again after the last event, so nothing is missed or repeated.

        Args:
            last_event_id: events after this id; "0" for all, None for those from now on.
        """
        reconnects = Reconnects(enabled=reconnect)
        while True:
            try:
                for event in self._stream(calls.events(last_event_id), event_in):
                    reconnects.received()
                    last_event_id = event.id
                    yield event
            except (ApiError, NoAnswerError) as error:
                reconnects.raise_if_final(error)
            delay = reconnects.delay()
            if delay is None:
                return
            time.sleep(delay)

    def export(
        self,
        kind: str = "trades",
        file_format: str = "csv",
        *,
        since: str | float | None = None,
        until: str | float | None = None,
        instrument: str | None = None,
    ) -> Iterator[bytes]:
        """A file of trades, transactions or decisions in pieces, to be written one after the other.

        Args:
            kind: ``trades``, ``transactions`` or ``decisions``.
            file_format: ``csv`` or ``xlsx``.
        """
        call = journal_calls.export(kind, file_format, since, until, instrument)
        try:
            response = self._http.send(file_request_of(self._http, call), stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    raise error_in(response)
                yield from response.iter_bytes()
            finally:
                response.close()
        except httpx.TransportError as error:
            raise NoAnswerError(f"the file broke off: {error!r}") from error

    def _attempt(self, call: Call[T]) -> Outcome:
        try:
            return self._http.send(request_of(self._http, call))
        except httpx.TransportError as error:
            return error

    def _stream(self, call: Call[Any], read: Callable[[str], T | None]) -> Iterator[T]:
        try:
            response = self._http.send(stream_request_of(self._http, call), stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    raise error_in(response)
                for line in response.iter_lines():
                    if (found := read(line)) is not None:
                        yield found
            finally:
                response.close()
        except httpx.TransportError as error:
            raise NoAnswerError(f"the stream broke: {error!r}") from error
