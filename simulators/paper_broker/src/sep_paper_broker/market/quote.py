"""A two-sided price at an instant."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask of one instrument.

    ``time_ns`` is when the price was made, in nanoseconds since the epoch. A quote that is
    not ``tradeable`` values positions but fills nothing.
    """

    instrument: str
    time_ns: int
    bid: Decimal
    ask: Decimal
    tradeable: bool = True

    @property
    def mid(self) -> Decimal:
        """Halfway between bid and ask, not rounded."""
        return (self.bid + self.ask) / 2

    def closing_price(self, units: Decimal) -> Decimal:
        """What a holder of the units gets or pays to be rid of them."""
        return self.bid if units > 0 else self.ask

    def dealing_price(self, units: Decimal) -> Decimal:
        """What an order for the units is filled at."""
        return self.ask if units > 0 else self.bid
