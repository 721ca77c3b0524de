"""Decodes a response of the broker: a JSON object, or one of the failures."""

from typing import Any

import httpx
from pydantic_core import from_json

from sep_gateway.adapters.oanda.broker_words import broker_words
from sep_gateway.adapters.oanda.failures import AccessDeniedError, NoResponseError, RefusedError

Json = dict[str, Any]

TOO_MANY_REQUESTS = 429
_ACCESS_DENIED = (401, 403)


def decode(endpoint: str, response: httpx.Response, token: str) -> Json:
    """The JSON object of a response.

    Args:
        token: is hidden in the messages of errors.

    Raises:
        RefusedError: the broker did not execute the request.
        NoResponseError: it may have executed it.
    """
    status = response.status_code
    body = _json_object(response.content)
    if status < httpx.codes.MULTIPLE_CHOICES and body is not None:
        return body
    words = broker_words(response.content, body, token)
    said = f": {words}" if words else ""
    retry_after = _retry_after(response.headers)
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise NoResponseError(
            f"{endpoint}: the broker responded with {status}{said}", retry_after, words=words
        )
    if status == TOO_MANY_REQUESTS:
        # Refused before it was executed, whatever the body contains.
        raise RefusedError(
            f"{endpoint}: too many requests (429){said}",
            status,
            body or {},
            retry_after,
            words=words,
        )
    if body is None and status not in _ACCESS_DENIED:
        raise NoResponseError(
            f"{endpoint}: the broker's response ({status}) is not a JSON object{said}",
            words=words,
        )
    if status < httpx.codes.BAD_REQUEST:
        raise NoResponseError(f"{endpoint}: the broker responded with a redirect ({status})")
    kind = AccessDeniedError if status in _ACCESS_DENIED else RefusedError
    message = f"{endpoint}: the broker refused ({status}){said}"
    raise kind(message, status, body or {}, words=words)


def _json_object(content: bytes) -> Json | None:
    """The JSON object of a body; None if it is anything else."""
    try:
        # A page of candles is a megabyte: this parses it in half the time of json.
        body = from_json(content, cache_strings="keys")
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _retry_after(headers: httpx.Headers) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
