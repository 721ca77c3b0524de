"""What the two clients share: requests out of calls, answers out of responses, when to retry."""

import json
import random
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import httpx

from sep_client.calls import Call
from sep_client.decoding import decode
from sep_client.errors import ApiError, NoAnswerError, NotServingError, error_of
from sep_client.models import Manifold, StreamManifoldsResponse

T = TypeVar("T")

STREAM_SILENCE_S = 45.0
"""The stack sends a heartbeat every 15 s; a stream silent for three of them is dead."""

_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_MAY_PASS_LATER = (502, 503, 504)


def headers_of(key: str | None) -> dict[str, str]:
    """Headers of every call."""
    return {"authorization": f"Bearer {key.strip()}"} if key else {}


def request_of(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
    """The request that a call stands for."""
    if call.reads:
        return http.build_request("GET", call.path, params=dict(call.query))
    return http.build_request("POST", call.path, json=dict(call.body or {}))


def answer_of(call: Call[T], response: httpx.Response) -> T:
    """The answer.

    Raises:
        ApiError: it is an error.
        NoAnswerError: it is nothing of this API.
    """
    if response.status_code != httpx.codes.OK:
        failure = failure_of(response)
        if call.told_by_failure and isinstance(failure, NotServingError):
            return decode(call.answer, _answer_in(failure))
        raise failure
    if call.answer is str:
        return cast(T, response.text)
    try:
        return decode(call.answer, response.json())
    except ValueError as error:
        raise NoAnswerError(f"{call.path} answered with {error}") from error


def failure_of(response: httpx.Response) -> Exception:
    """The exception that a response stands for."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return error_of(response.status_code, body, response.headers.get("x-request-id", ""))


def may_retry(call: Call[Any], status: int | None) -> bool:
    """Whether to send it again: reads alone, since nobody knows what became of a write."""
    may_pass = status is None or (status in _MAY_PASS_LATER and not call.told_by_failure)
    return call.reads and may_pass


def pause(attempt: int) -> float:
    """Seconds before another attempt, the first being 0."""
    jitter = random.uniform(0.5, 1.5)  # noqa: S311 - so that not all come back at once
    return jitter * min(_PAUSE_S * 2.0 ** min(attempt, 10), _LONGEST_PAUSE_S)


def _answer_in(failure: NotServingError) -> Mapping[str, Any]:
    """What is down, out of the error that says so."""
    for detail in failure.details:
        if "parts" in detail:
            return detail
    raise failure


def manifold_in(line: str) -> Manifold | None:
    """The manifold in a line of the stream; None in a heartbeat or a blank.

    Raises:
        ApiError: the stream says that it can't go on.
    """
    if not line.startswith("data:"):
        return None
    event = decode(StreamManifoldsResponse, json.loads(line.removeprefix("data:")))
    if event.error is not None:
        raise ApiError(200, event.error.reason, event.error.message, {}, (), "")
    return event.manifold
