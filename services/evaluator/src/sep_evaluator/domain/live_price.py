"""The live price that ends a provisional window."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class LivePrice:
    """A tradeable price; ``ts_ms`` is when the broker made it."""

    instrument: str
    ts_ms: int
    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        """Middle of bid and ask."""
        return (self.bid + self.ask) / 2
