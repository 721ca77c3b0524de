"""The instruments that the stack trades, and the candles it needs of them."""

from dataclasses import dataclass

from sep_fx.granularity import Granularity


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """Traded instruments, the granularity of their candles, and days of history to hold."""

    instruments: tuple[str, ...]
    granularity: Granularity
    history_days: float
