"""Trades, and the realised figures of a position."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from sep_paper_broker.orders.requests import ClientExtensions

ZERO = Decimal(0)


class TradeState(StrEnum):
    """The state of a trade."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """Units opened by one fill; its id is the id of the fill.

    Units are positive for a long trade. Amounts of money are in home currency, times in
    nanoseconds since the epoch.
    """

    id: str
    instrument: str
    price: Decimal
    open_time: int
    initial_units: Decimal
    current_units: Decimal
    initial_margin_required: Decimal
    state: TradeState = TradeState.OPEN
    realized_pl: Decimal = ZERO
    financing: Decimal = ZERO
    average_close_price: Decimal | None = None
    closing_transaction_ids: tuple[str, ...] = ()
    close_time: int | None = None
    client_extensions: ClientExtensions | None = None
    take_profit_order_id: str | None = None
    stop_loss_order_id: str | None = None

    @property
    def client_id(self) -> str | None:
        """The client id of the trade."""
        return self.client_extensions.id if self.client_extensions else None

    @property
    def is_long(self) -> bool:
        """Whether the trade is long."""
        return self.initial_units > 0

    def reduced(
        self, units: Decimal, price: Decimal, realized_pl: Decimal, transaction_id: str, time: int
    ) -> "Trade":
        """The trade after a fill of ``units``, whose sign is opposite to the trade's."""
        closed_before = abs(self.initial_units - self.current_units)
        closed = closed_before + abs(units)
        average = ((self.average_close_price or ZERO) * closed_before + price * abs(units)) / closed
        left = self.current_units + units
        return replace(
            self,
            current_units=left,
            realized_pl=self.realized_pl + realized_pl,
            average_close_price=average.quantize(price),
            closing_transaction_ids=(*self.closing_transaction_ids, transaction_id),
            state=TradeState.OPEN if left else TradeState.CLOSED,
            close_time=None if left else time,
        )

    def financed(self, amount: Decimal) -> "Trade":
        """The trade with an amount of financing added."""
        return replace(self, financing=self.financing + amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionTally:
    """Realised profit and financing of one instrument over the account's life, by side."""

    instrument: str
    long_pl: Decimal = ZERO
    short_pl: Decimal = ZERO
    long_financing: Decimal = ZERO
    short_financing: Decimal = ZERO

    def with_pl(self, amount: Decimal, *, long: bool) -> "PositionTally":
        """The tally with realised profit or loss added to one side."""
        if long:
            return replace(self, long_pl=self.long_pl + amount)
        return replace(self, short_pl=self.short_pl + amount)

    def with_financing(self, amount: Decimal, *, long: bool) -> "PositionTally":
        """The tally with financing added to one side."""
        if long:
            return replace(self, long_financing=self.long_financing + amount)
        return replace(self, short_financing=self.short_financing + amount)
