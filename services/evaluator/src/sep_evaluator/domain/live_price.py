"""The live price that a provisional bar is made from."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePrice:
    """A tradeable price; ``ts_ms`` is the broker's time of it."""

    instrument: str
    ts_ms: int
    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        """Middle of bid and ask."""
        return (self.bid + self.ask) / 2
