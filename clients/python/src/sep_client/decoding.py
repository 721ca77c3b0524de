"""Decodes JSON into the classes of ``models``."""

import keyword
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def decode(kind: type[T], data: Any) -> T:
    """Decode a JSON value; fields that this client does not know are ignored.

    Raises:
        ValueError: the data does not have the class's shape.
    """
    try:
        value: T = _decode(kind, data)
    except (TypeError, KeyError, ArithmeticError, AttributeError) as error:
        raise ValueError(f"not a {kind.__name__}: {error!r}") from error
    return value


def _decode(kind: Any, data: Any) -> Any:  # noqa: PLR0911 - one for each kind
    origin = get_origin(kind)
    if origin is UnionType:
        (inner,) = (k for k in get_args(kind) if k is not NoneType)
        # An empty decimal means that there is no value.
        return None if data is None or (inner is Decimal and data == "") else _decode(inner, data)
    if origin is tuple:
        return tuple(_decode(get_args(kind)[0], item) for item in data)
    if origin is Mapping or getattr(origin, "__name__", "") == "Mapping":
        return {key: _decode(get_args(kind)[1], value) for key, value in data.items()}
    if is_dataclass(kind):
        hints: list[tuple[str, str, Any]] = _hints(kind)  # type: ignore[arg-type]
        return kind(**{name: _decode(hint, data[key]) for name, key, hint in hints if key in data})  # type: ignore[operator]
    if kind is float:
        return float(data)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        # A newer stack may have more values.
        return kind(data) if data in kind._value2member_map_ else next(iter(kind))
    return kind(data)


@cache
def _hints(kind: Any) -> list[tuple[str, str, Any]]:
    hints = get_type_hints(kind)
    return [(f.name, _json_name(f.name), hints[f.name]) for f in fields(kind)]


def _json_name(name: str) -> str:
    bare = name.removesuffix("_")
    return bare if keyword.iskeyword(bare) else name
