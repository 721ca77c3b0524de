"""What the comparison of days with their replay needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from sep_journal.domain.divergence import DivergenceDay
from sep_journal.ports import Page, PageRequest, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDay:
    """What was traded in a day, for the replay.

    Trades and decisions have the names of ``GET /api/journal/trades`` and ``GET /api/decisions``;
    a decision has its ``record`` as well. ``balance`` is that at the day's begin.
    """

    start_ms: int
    end_ms: int
    balance: Decimal
    trades: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]


class DivergenceStore(Protocol):
    """Compared days; every operation raises ``JournalUnavailableError`` as ``Journal`` does."""

    async def divergence(
        self, page: PageRequest, times: Range, instrument: str
    ) -> Page[DivergenceDay]:
        """Compared days, newest first, with the differences of one or of all instruments."""
        ...

    async def save_divergence(self, day: DivergenceDay) -> None:
        """Write a day, in place of an earlier comparison of it."""
        ...

    async def live_day(self, start_ms: int, end_ms: int) -> LiveDay | None:
        """What was traded in a day; None where the ledger does not reach back to its begin."""
        ...


class DayReplayer(Protocol):
    """Replays a day and compares it."""

    async def compare(self, live: LiveDay) -> DivergenceDay:
        """The differences of a day.

        Raises:
            ReplayError: the replay fails; says why.
        """
        ...


class ReplayError(Exception):
    """A day can't be replayed."""
