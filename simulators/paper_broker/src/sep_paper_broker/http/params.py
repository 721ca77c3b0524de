"""Parsing of request parameters and bodies; an ``ApiError`` names the malformed one."""

import json
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from sep_fx.instants import NS_PER_SECOND, parse_rfc3339
from starlette.requests import Request

from sep_paper_broker.codec import TimeFormat
from sep_paper_broker.http.errors import ApiError, invalid

E = TypeVar("E", bound=StrEnum)

_UNIX_TIME = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?")
# More digits than any price, amount or number of units needs; bounds decimal arithmetic.
_MAX_DIGITS = 18


def time_format(request: Request) -> TimeFormat:
    """The format of times that the client requests."""
    wanted = request.headers.get("Accept-Datetime-Format", TimeFormat.RFC3339)
    return TimeFormat.UNIX if wanted.upper() == TimeFormat.UNIX else TimeFormat.RFC3339


def instant(name: str, text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 or Unix time."""
    match = _UNIX_TIME.fullmatch(text)
    if match is not None:
        seconds, fraction = match.groups()
        return int(seconds) * NS_PER_SECOND + int((fraction or "").ljust(9, "0"))
    try:
        return parse_rfc3339(text)
    except ValueError:
        raise invalid(name) from None


def query_instant(request: Request, name: str) -> int | None:
    """A time of the query string; None if absent."""
    text = request.query_params.get(name)
    return None if text is None else instant(name, text)


def query_count(request: Request, name: str) -> int | None:
    """A whole number of the query string; None if absent."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 12:
        raise invalid(name)
    return int(text)


def query_flag(request: Request, name: str, *, default: bool) -> bool:
    """A boolean of the query string."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise invalid(name)


def query_list(request: Request, name: str) -> list[str] | None:
    """Comma-separated values of one or more parameters; None if absent."""
    texts = request.query_params.getlist(name)
    if not texts:
        return None
    return [item for text in texts for item in text.split(",") if item]


def required_id(request: Request, name: str) -> int:
    """A transaction id of the query string."""
    found = query_count(request, name)
    if found is None:
        raise invalid(name)
    return found


def known_instruments(names: Iterable[str], listed: Iterable[str]) -> list[str]:
    """The distinct names.

    Raises:
        ApiError: there is none, or one is not listed.
    """
    known = set(listed)
    found = list(dict.fromkeys(names))
    if not found or not known.issuperset(found):
        raise invalid("instruments")
    return found


async def body_object(request: Request) -> dict[str, Any]:
    """The request's JSON object; fractional numbers become ``Decimal``."""
    raw = await request.body()
    if not raw:
        return {}
    try:
        data = json.loads(raw, parse_float=Decimal)
    except ValueError:
        raise ApiError(400, "The request body is not valid JSON.") from None
    if not isinstance(data, dict):
        raise ApiError(400, "The request body is not a JSON object.")
    return data


def decimal(name: str, value: object) -> Decimal:
    """A decimal from a JSON string or number."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise invalid(name)
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise invalid(name) from None
    if not number.is_finite():
        raise invalid(name)
    _, digits, exponent = number.as_tuple()
    if len(digits) > _MAX_DIGITS or not -_MAX_DIGITS < int(exponent) < _MAX_DIGITS:
        raise invalid(name)
    # 1E+3 becomes 1000, so that it is formatted without an exponent.
    return number.quantize(Decimal(1)) if int(exponent) > 0 else number


def choice(name: str, kind: type[E], value: object, default: E) -> E:
    """A member of an enumeration; ``default`` if absent."""
    if value is None:
        return default
    try:
        return kind(str(value))
    except ValueError:
        raise invalid(name) from None


def text_or_none(name: str, value: object) -> str | None:
    """A text field; None if absent."""
    if value is not None and not isinstance(value, str):
        raise invalid(name)
    return value


def object_or_none(name: str, value: object) -> dict[str, Any] | None:
    """A nested object; None if absent."""
    if value is not None and not isinstance(value, dict):
        raise invalid(name)
    return value
