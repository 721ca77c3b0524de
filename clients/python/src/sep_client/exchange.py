"""Logic that both clients share: requests, responses, retries. Nothing here does I/O."""

import json
import random
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import httpx

from sep_client.call import Call
from sep_client.decoding import decode
from sep_client.errors import ApiError, NoAnswerError, NotServingError, SepError, error_of
from sep_client.models import Event, Manifold, StreamEventsResponse, StreamManifoldsResponse

T = TypeVar("T")
Http = httpx.Client | httpx.AsyncClient
Outcome = httpx.Response | httpx.TransportError
"""How an attempt ended."""

STREAM_SILENCE_S = 45.0
"""A stream without data for this long is broken; the stack sends a heartbeat every 15 s."""

FILE_SILENCE_S = 300.0
"""A million rows take about a minute."""

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 5.0
_TEMPORARY = (502, 503, 504)


def configure(http: Http, url: str, key: str | None, timeout_s: float) -> None:
    """Set base URL, timeout and key of an HTTP client."""
    http.base_url = httpx.URL(url)
    http.timeout = httpx.Timeout(timeout_s)
    if key:
        http.headers["authorization"] = f"Bearer {key.strip()}"


def request_of(http: Http, call: Call[Any]) -> httpx.Request:
    """The HTTP request of a call."""
    if call.reads:
        return http.build_request("GET", call.target, params=dict(call.parameters))
    return http.build_request("POST", call.target, json=dict(call.body or {}))


def stream_request_of(http: Http, call: Call[Any]) -> httpx.Request:
    """The HTTP request of a call whose response is a stream."""
    request = request_of(http, call)
    request.extensions["timeout"] = httpx.Timeout(STREAM_SILENCE_S).as_dict()
    return request


def file_request_of(http: Http, call: Call[Any]) -> httpx.Request:
    """The HTTP request of a file, which is made before its first byte is sent."""
    request = request_of(http, call)
    request.extensions["timeout"] = httpx.Timeout(FILE_SILENCE_S).as_dict()
    return request


class Retries:
    """Decides whether a call is retried: reads are, writes never, since they may have succeeded."""

    def __init__(self, call: Call[Any], limit: int) -> None:
        self._call = call
        self._limit = limit
        self._attempts = 0

    def delay_after(self, outcome: Outcome) -> float | None:
        """Seconds until the next attempt; None when the outcome is final."""
        if self._attempts >= self._limit or not self._is_temporary(outcome):
            return None
        self._attempts += 1
        return backoff(self._attempts - 1)

    def _is_temporary(self, outcome: Outcome) -> bool:
        if not self._call.reads:
            return False
        if isinstance(outcome, httpx.TransportError):
            return True
        return outcome.status_code in _TEMPORARY and not self._call.error_has_response


class Reconnects:
    """Decides whether a stream that ended is opened again."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._attempts = 0

    def received(self) -> None:
        """Note that the stream works."""
        self._attempts = 0

    def raise_if_final(self, error: SepError) -> None:
        """Raise an error that a new attempt can't change."""
        is_refusal = isinstance(error, ApiError) and error.status < 500 and error.status != 200
        if is_refusal or not self._enabled:
            raise error

    def delay(self) -> float | None:
        """Seconds until the next attempt; None when there is none."""
        if not self._enabled:
            return None
        self._attempts += 1
        return backoff(self._attempts - 1)


def backoff(attempt: int) -> float:
    """Seconds before another attempt, the first being 0, with jitter."""
    jitter = random.uniform(0.5, 1.5)  # noqa: S311 - so that clients don't retry together
    return jitter * min(_FIRST_DELAY_S * 2.0 ** min(attempt, 10), _LONGEST_DELAY_S)


def response_of(call: Call[T], outcome: Outcome) -> T:
    """The decoded response.

    Raises:
        ApiError: it is an error.
        NoAnswerError: there is no response, or it is not of this API.
    """
    if isinstance(outcome, httpx.TransportError):
        raise NoAnswerError(f"{call.target}: {outcome!r}") from outcome
    if outcome.status_code != httpx.codes.OK:
        error = error_in(outcome)
        if call.error_has_response and isinstance(error, NotServingError):
            return decode(call.response_type, _response_in(error))
        raise error
    if call.response_type is str:
        return cast(T, outcome.text)
    try:
        return decode(call.response_type, outcome.json())
    except ValueError as error:
        raise NoAnswerError(f"{call.target} returned {error}") from error


def error_in(response: httpx.Response) -> SepError:
    """The exception for an error response."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return error_of(response.status_code, body, response.headers.get("x-request-id", ""))


def _response_in(error: NotServingError) -> Mapping[str, Any]:
    """The response that an error contains, which lists the parts."""
    for detail in error.details:
        if "parts" in detail:
            return detail
    raise error


def manifold_in(line: str) -> Manifold | None:
    """The manifold in a line of the stream; None for a heartbeat or a blank line.

    Raises:
        ApiError: the line is an error, after which the stream ends.
    """
    if not line.startswith("data:"):
        return None
    message = decode(StreamManifoldsResponse, json.loads(line.removeprefix("data:")))
    if message.error is not None:
        raise ApiError(200, message.error.reason, message.error.message, {}, (), "")
    return message.manifold


def event_in(line: str) -> Event | None:
    """The event in a line of the stream, as ``manifold_in``."""
    if not line.startswith("data:"):
        return None
    message = decode(StreamEventsResponse, json.loads(line.removeprefix("data:")))
    if message.error is not None:
        raise ApiError(200, message.error.reason, message.error.message, {}, (), "")
    return message.event
