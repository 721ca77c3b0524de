"""What the guard needs of the broker, as the gateway gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from sep_fx.instrument import Instrument

from sep_guard.domain.market import Account, Holding, Quote
from sep_guard.domain.orders import Intent, Result


@dataclass(frozen=True, slots=True)
class Prices:
    """Quotes by instrument; value at home of one unit of each currency."""

    quotes: Mapping[str, Quote]
    home_per_unit: Mapping[str, Decimal]


class Broker(Protocol):
    """The broker's truth, and orders to it. Every call may raise ``UnavailableError``."""

    async def account(self) -> Account:
        """The account now."""
        ...

    async def holdings(self) -> Mapping[str, Holding]:
        """Open units by instrument, ours and others'."""
        ...

    async def prices(self, instruments: Sequence[str]) -> Prices:
        """Current prices."""
        ...

    async def instruments(self) -> Mapping[str, Instrument]:
        """The broker's rules by instrument."""
        ...

    async def place(self, intent: Intent) -> Result:
        """Send an order; never raises for an unknown outcome."""
        ...

    async def look_up(self, intent: Intent) -> Result | None:
        """What became of an order; None where the broker knows no such order."""
        ...
