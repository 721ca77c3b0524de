"""What the evaluator needs from outside."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_kit.store.candles import Head

from sep_evaluator.domain.live_price import LivePrice


class CandleSource(Protocol):
    """Stored complete candles."""

    async def heads(self, instruments: Iterable[str], granularity: Granularity) -> dict[str, Head]:
        """The newest bar of each instrument that has one, and whether older ones changed."""
        ...

    async def read_bars(
        self, instrument: str, granularity: Granularity, since: int, until: int | None = None
    ) -> Bars:
        """Bars with ``since <= start < until``."""
        ...

    async def read_bars_of(
        self, spans: Mapping[str, tuple[int, int]], granularity: Granularity
    ) -> dict[str, Bars]:
        """Bars of several instruments at once, from and up to but not including a time."""
        ...


class PriceSource(Protocol):
    """Live prices."""

    async def prices(self, instruments: Sequence[str]) -> list[LivePrice]:
        """Prices that can be traded now; instruments without one are left out."""
        ...
