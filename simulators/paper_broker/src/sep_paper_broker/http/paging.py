"""Paging of lists by ``ids``, ``beforeID`` and ``count``."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from starlette.requests import Request

from sep_paper_broker.http.errors import invalid
from sep_paper_broker.http.params import query_count, query_list

_DEFAULT, _MAX = 50, 500


class Identified(Protocol):
    """An object with a numeric id."""

    @property
    def id(self) -> str:
        """The id."""
        ...


T = TypeVar("T", bound=Identified)


def newest_first(request: Request, items: Iterable[T]) -> list[T]:
    """The items selected by ``ids``, ``beforeID`` (inclusive) and ``count``, newest first."""
    ids = query_list(request, "ids")
    largest = query_count(request, "beforeID")
    count = query_count(request, "count")
    if count is not None and not 1 <= count <= _MAX:
        raise invalid("count", f"It must be from 1 to {_MAX}")
    chosen = [
        item
        for item in items
        if (ids is None or item.id in ids) and (largest is None or int(item.id) <= largest)
    ]
    chosen.sort(key=lambda item: int(item.id), reverse=True)
    return chosen[: count or _DEFAULT]
