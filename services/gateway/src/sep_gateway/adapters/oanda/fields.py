"""Reads single fields of the broker's objects.

A field that decisions need ends the reading of its object with an error that names it. Any other is
None where it can't be read, and is noted, so that it costs nothing but itself.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from sep_gateway.adapters.oanda.members import PARSE_ERRORS, fault_text
from sep_gateway.domain.left_out import LeftOut

Json = dict[str, Any]
T = TypeVar("T")

# Stricter than Decimal, which accepts spaces, 1_0 and the digits of any script.
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
# No amount, price or number of units is as long, and one of a thousand digits would be written out.
_MOST_DIGITS = 40
_LARGEST_EXPONENT = 20


def finite(text: object) -> Decimal:
    """A decimal; raises ValueError for NaN, infinities and numbers beyond any amount."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r:.40} is not a decimal string")
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{text[:40]!r}... is beyond any amount")
    if _DECIMAL.fullmatch(text) is None:
        word = text.strip("+-").lower()
        unbounded = word.startswith(("nan", "inf"))
        raise ValueError(f"{text[:40]!r} is not {'finite' if unbounded else 'a decimal'}")
    value = Decimal(text)
    digits = value.as_tuple()
    exponent = digits.exponent if isinstance(digits.exponent, int) else 0
    if max(value.adjusted(), -exponent) > _LARGEST_EXPONENT:
        raise ValueError(f"{text[:40]!r} is beyond any amount")
    return value


def positive(text: object) -> Decimal:
    """A decimal above zero, safe as a divisor."""
    value = finite(text)
    if value <= 0:
        raise ValueError(f"{text!r} is not above 0")
    return value


def not_negative(text: object) -> Decimal:
    """A decimal of zero or above."""
    value = finite(text)
    if value < 0:
        raise ValueError(f"{text!r} is below 0")
    return value


def whole(value: object) -> int:
    """A whole number of zero or above, such as an id: digits as text, or a JSON integer."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{value!r:.40} is not a whole number")
    if _NUMBER.fullmatch(str(value)) is None:
        raise ValueError(f"{str(value)[:40]!r} is not a whole number")
    return int(value)


def text_of(value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r:.40} is not a text")
    return value


def object_or_empty(entry: Json, field: str) -> Json:
    """An object that may be missing; raises TypeError for anything else."""
    value = entry.get(field)
    if value is not None and not isinstance(value, dict):
        raise TypeError(f"{field}: {value!r:.40} is not an object")
    return value or {}


def str_or_empty(entry: Json, field: str) -> str:
    """A text that may be missing; raises TypeError for anything else."""
    value = entry.get(field, "")
    if not isinstance(value, str):
        raise TypeError(f"{field}: {value!r:.40} is not a text")
    return value


def flag(value: object) -> bool:
    """A JSON boolean."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.40} is neither true nor false")
    return value


class Fields:
    """The fields of one object of an answer.

    Args:
        kind: what the object is, such as ``trade``.
        name: names it among its kind; empty where there is one of it.
    """

    def __init__(self, kind: str, entry: Json, *, name: str = "", instrument: str = "") -> None:
        self._kind = kind
        self._entry = entry
        self._name = name
        self._instrument = instrument
        self._odd: list[LeftOut] = []

    @property
    def odd(self) -> tuple[LeftOut, ...]:
        """The fields that could not be read so far, without those that are needed."""
        return tuple(self._odd)

    def needed(self, field: str, read: Callable[[Any], T]) -> T:
        """A field without which the object is of no use.

        Raises:
            ValueError: it is missing or can't be read; the text names it.
        """
        try:
            return read(self._entry[field])
        except PARSE_ERRORS as error:
            raise ValueError(f"{field}: {fault_text(error)}") from error

    def optional(self, field: str, read: Callable[[Any], T]) -> T | None:
        """A field that decides nothing; None where it is missing or can't be read."""
        if self._entry.get(field) is None:
            return None
        try:
            return read(self._entry[field])
        except PARSE_ERRORS as error:
            self.note(field, fault_text(error))
            return None

    def part(self, field: str) -> "Fields":
        """The fields of an object that decides nothing; none where it can't be read."""
        value = self.optional(field, lambda found: object_or_empty({field: found}, field))
        return Fields(
            f"{self._kind} {field}", value or {}, name=self._name, instrument=self._instrument
        )

    def note(self, field: str, text: str) -> None:
        """Note a field that can't be read."""
        self._odd.append(
            LeftOut(
                kind=f"{self._kind} field",
                name=f"{self._name} {field}".strip(),
                instrument=self._instrument,
                text=text,
            )
        )
