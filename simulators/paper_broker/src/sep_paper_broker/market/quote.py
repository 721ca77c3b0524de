"""A bid and ask price at a time."""

from dataclasses import dataclass, replace
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Best bid and ask of one instrument.

    ``time_ns`` is the time of the price, in nanoseconds since the epoch. A quote that is not
    ``tradeable`` values positions but fills no order.
    """

    instrument: str
    time_ns: int
    bid: Decimal
    ask: Decimal
    tradeable: bool = True

    @property
    def mid(self) -> Decimal:
        """The mean of bid and ask, not rounded."""
        return (self.bid + self.ask) / 2

    def closing_price(self, units: Decimal) -> Decimal:
        """The price at which a position of ``units`` closes."""
        return self.bid if units > 0 else self.ask

    def worse_by(self, distance: Decimal, units: Decimal) -> "Quote":
        """The quote with the side that an order of ``units`` fills at worse by ``distance``."""
        if units > 0:
            return replace(self, ask=self.ask + distance)
        return replace(self, bid=self.bid - distance)

    def dealing_price(self, units: Decimal) -> Decimal:
        """The price at which an order of ``units`` fills."""
        return self.ask if units > 0 else self.bid
