"""Domain values to JSON with OANDA's field names, and back.

``realized_pl`` becomes ``realizedPL``, decimals become strings, times become RFC 3339 or Unix
text, and None is omitted. The body of a transaction is merged into its envelope. A value
encoded with RFC 3339 times decodes to an equal value, so the state file uses the same form.
"""

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from sep_fx.instants import NS_PER_SECOND, format_rfc3339, parse_rfc3339

Json = Any
T = TypeVar("T")

_ACRONYMS = {"id": "ID", "ids": "IDs", "pl": "PL", "nav": "NAV", "vwap": "VWAP"}
_WHOLE_NAMES = {"nav": "NAV"}
# Merged into the object around it; see ``Transaction``.
_MERGED = "body"


class TimeFormat(StrEnum):
    """A format of times, as in the request header ``Accept-Datetime-Format``."""

    RFC3339 = "RFC3339"
    UNIX = "UNIX"

    def write(self, instant_ns: int) -> str:
        """Format nanoseconds since the epoch with nine fractional digits."""
        if self is TimeFormat.RFC3339:
            return format_rfc3339(instant_ns)
        return f"{instant_ns // NS_PER_SECOND}.{instant_ns % NS_PER_SECOND:09d}"


def wire_name(name: str) -> str:
    """The JSON name of a field."""
    if name in _WHOLE_NAMES:
        return _WHOLE_NAMES[name]
    first, *rest = name.split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


def encode(value: object, times: TimeFormat = TimeFormat.RFC3339) -> Json:
    """A domain value as JSON."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, tuple | list):
        return [encode(item, times) for item in value]
    if isinstance(value, dict):
        return {key: encode(item, times) for key, item in value.items()}
    return _encode_fields(value, times)


def decode(kind: type[T], data: Json) -> T:
    """A dataclass value from its JSON with RFC 3339 times.

    Raises:
        KeyError, TypeError, ValueError: the data does not fit the type.
    """
    value: T = _decoder(kind)(data)  # type: ignore[arg-type]
    return value


def _encode_fields(value: object, times: TimeFormat) -> Json:
    encoded: dict[str, Json] = {}
    for name, wire, is_time in _fields(cast(Any, type(value))):
        item = getattr(value, name)
        if item is None:
            continue
        if is_time:
            encoded[wire] = times.write(item)
        elif name == _MERGED:
            encoded.update(_encode_fields(item, times))
        else:
            encoded[wire] = encode(item, times)
    return encoded


@cache
def _fields(kind: Any) -> tuple[tuple[str, str, bool], ...]:
    return tuple(
        (field.name, wire_name(field.name), _is_time(field.name))
        for field in dataclasses.fields(kind)
    )


def _is_time(name: str) -> bool:
    return name == "time" or name.endswith("_time")


@cache
def _decoder(kind: Any) -> Callable[[Json], Any]:
    """A function that converts JSON to a value of the annotated type."""
    if get_origin(kind) in (Union, UnionType):
        return _union_decoder(kind)
    if get_origin(kind) is tuple:
        item = _decoder(get_args(kind)[0])
        return lambda data: tuple(item(entry) for entry in data)
    if kind is Decimal:
        return Decimal
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if dataclasses.is_dataclass(kind):
        return _dataclass_decoder(kind)
    return lambda data: data


def _union_decoder(kind: Any) -> Callable[[Json], Any]:
    choices = [choice for choice in get_args(kind) if choice is not NoneType]
    if len(choices) == 1:
        return _decoder(choices[0])
    by_type = {_type_of(choice): choice for choice in choices}
    return lambda data: _decoder(by_type[data["type"]])(data)


def _dataclass_decoder(kind: Any) -> Callable[[Json], Any]:
    hints = get_type_hints(kind)
    plan = [
        (
            field.name,
            wire_name(field.name),
            parse_rfc3339 if _is_time(field.name) else _decoder(hints[field.name]),
        )
        for field in dataclasses.fields(kind)
    ]

    def from_json(data: Json) -> Any:
        values = {}
        for name, wire, convert in plan:
            if name == _MERGED:
                values[name] = convert(data)
            elif wire in data:
                values[name] = convert(data[wire])
            else:
                values[name] = None
        # None was omitted when encoding: such a field needs a default, else this raises.
        return kind(**{name: item for name, item in values.items() if item is not None})

    return from_json


def _type_of(kind: Any) -> str:
    for field in dataclasses.fields(kind):
        if field.name == "type":
            return str(field.default)
    raise TypeError(f"{kind} has no type tag")
