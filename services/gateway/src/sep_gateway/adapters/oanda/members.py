"""Reads the members of a list each on its own: one that can't be read costs only itself."""

from collections.abc import Callable
from typing import Any, TypeVar

from sep_gateway.domain.left_out import LeftOut

T = TypeVar("T")

PARSE_ERRORS = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError)
"""What a parser raises on invalid input."""

_LONGEST_TEXT = 200
_LONGEST_NAME = 40


def read_members(
    kind: str, entries: object, parse: Callable[[Any], T], *, name: str
) -> tuple[list[T], tuple[LeftOut, ...]]:
    """The members that can be read, in their order, and those that can't.

    Args:
        kind: what a member is, such as ``trade``.
        name: field that names a member.

    Raises:
        TypeError: there is no list, so the answer as a whole is invalid.
    """
    if not isinstance(entries, list):
        raise TypeError(f"the {kind}s are not a list")
    found: list[T] = []
    left_out: list[LeftOut] = []
    for entry in entries:
        try:
            found.append(parse(entry))
        except PARSE_ERRORS as error:
            left_out.append(
                LeftOut(
                    kind=kind,
                    name=_legible(entry, name),
                    instrument=_legible(entry, "instrument"),
                    text=fault_text(error),
                )
            )
    return found, tuple(left_out)


def fault_text(error: BaseException) -> str:
    """The error of a member that can't be read, as text for logs and status."""
    what = f"no field {error}" if isinstance(error, KeyError) else str(error)
    return f"{type(error).__name__}: {what}"[:_LONGEST_TEXT]


def _legible(entry: object, field: str) -> str:
    value = entry.get(field) if isinstance(entry, dict) else None
    return value[:_LONGEST_NAME] if isinstance(value, str) and value.isprintable() else ""
