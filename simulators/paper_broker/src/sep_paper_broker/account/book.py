"""The state of an account with its indexes and queries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sep_fx.instrument import Instrument

from sep_paper_broker.account.conversion import HomeConversion
from sep_paper_broker.account.ledger import Ledger
from sep_paper_broker.account.margin import Holding, HoldingValue, Valuation, total, value_of
from sep_paper_broker.account.trades import ZERO, PositionTally, Trade, TradeState
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.orders.order import DependentOrder, MarketOrder, Order, OrderState


@dataclass(frozen=True, slots=True)
class AccountProfile:
    """Identity of the account.

    ``id`` has the form site-division-user-number. ``created_time`` is in nanoseconds since the
    epoch. An account with ``mt4_account_id`` belongs to MetaTrader 4, which replaces the client
    extensions of orders and trades.
    """

    id: str
    home_currency: str
    created_time: int
    hedging_enabled: bool = False
    mt4_account_id: int | None = None

    @property
    def user_id(self) -> int:
        """The user number of the id."""
        return self.number_parts[2]

    @property
    def number_parts(self) -> tuple[int, int, int, int]:
        """Site, division, user and account number.

        Raises:
            ValueError: the id does not consist of four numbers.
        """
        parts = self.id.split("-")
        if len(parts) != 4 or not all(part.isdecimal() for part in parts):
            raise ValueError(f"account id {self.id!r} does not have the form 101-001-0000001-001")
        site, division, user, number = (int(part) for part in parts)
        return site, division, user, number


def _none(_quote: Quote) -> Decimal:
    return ZERO


class Book:
    """The account's state. Only ``account`` and ``orders`` modify it.

    Args:
        profile: identity of the account.
        instruments: the tradeable instruments by name.
        ledger: the transactions so far.
    """

    def __init__(
        self, profile: AccountProfile, instruments: Mapping[str, Instrument], ledger: Ledger
    ) -> None:
        self.profile = profile
        self.instruments = instruments
        self.ledger = ledger
        self.balance = ZERO
        self.pl = ZERO
        self.financing = ZERO
        self.alias = "Primary"
        self.margin_rate: Decimal | None = None
        self.last_fill_time: int | None = None
        self.quotes: dict[str, Quote] = {}
        self.tallies: dict[str, PositionTally] = {}
        self.trades: dict[str, Trade] = {}
        self.orders: dict[str, Order] = {}
        self._open: dict[str, dict[str, None]] = {}
        self._pending: dict[str, None] = {}
        self._order_by_client: dict[str, str] = {}
        self._trade_by_client: dict[str, str] = {}
        # By how much worse than the quote stops fill; what a simulation sets is not stored.
        self.stop_slippage: Callable[[Quote], Decimal] = _none
        self.conversion = HomeConversion(profile.home_currency, self.quotes)

    def ids_after(self, count: int) -> tuple[str, ...]:
        """The ids of all transactions after the first ``count``."""
        return tuple(str(i) for i in range(count + 1, len(self.ledger) + 1))

    def put_trade(self, trade: Trade) -> None:
        """Add or replace a trade."""
        before = self.trades.get(trade.id)
        if before is not None and before.client_id not in (None, trade.client_id):
            self._trade_by_client.pop(before.client_id or "", None)
        self.trades[trade.id] = trade
        of_instrument = self._open.setdefault(trade.instrument, {})
        if trade.state is TradeState.OPEN:
            of_instrument[trade.id] = None
        else:
            of_instrument.pop(trade.id, None)
        if trade.client_id is not None:
            self._trade_by_client[trade.client_id] = trade.id

    def put_order(self, order: Order) -> None:
        """Add or replace an order."""
        before = self.orders.get(order.id)
        if before is not None and before.client_id not in (None, order.client_id):
            self._order_by_client.pop(before.client_id or "", None)
        self.orders[order.id] = order
        if order.state is OrderState.PENDING:
            self._pending[order.id] = None
        else:
            self._pending.pop(order.id, None)
        if order.client_id is not None:
            self._order_by_client[order.client_id] = order.id

    def tally(self, instrument: str) -> PositionTally:
        """The realised profit and financing of an instrument."""
        return self.tallies.get(instrument) or PositionTally(instrument=instrument)

    def open_trades(self, instrument: str | None = None) -> list[Trade]:
        """Open trades of one instrument or of all, oldest first."""
        if instrument is not None:
            return [self.trades[i] for i in self._open.get(instrument, ())]
        ids = (i for of_instrument in self._open.values() for i in of_instrument)
        return [self.trades[i] for i in sorted(ids, key=int)]

    def position_units(self, instrument: str) -> Decimal:
        """Net units of an instrument: the sum over its open trades."""
        return sum((trade.current_units for trade in self.open_trades(instrument)), ZERO)

    def side_units(self, instrument: str, *, long: bool) -> Decimal:
        """Units of one side of an instrument's position, unsigned."""
        trades = (t.current_units for t in self.open_trades(instrument) if t.is_long == long)
        return abs(sum(trades, ZERO))

    def instruments_held(self) -> list[str]:
        """Instruments with an open trade, sorted by name."""
        return sorted(name for name, ids in self._open.items() if ids)

    def pending_orders(self) -> list[DependentOrder]:
        """Pending orders, oldest first."""
        pending = (self.orders[i] for i in self._pending)
        return [order for order in pending if not isinstance(order, MarketOrder)]

    def find_order(self, specifier: str) -> Order | None:
        """An order by its id or ``@`` and its client id."""
        if specifier.startswith("@"):
            return self.orders.get(self._order_by_client.get(specifier[1:], ""))
        return self.orders.get(specifier)

    def find_trade(self, specifier: str) -> Trade | None:
        """A trade by its id or ``@`` and its client id."""
        if specifier.startswith("@"):
            return self.trades.get(self._trade_by_client.get(specifier[1:], ""))
        return self.trades.get(specifier)

    def instrument_of(self, order: Order) -> str:
        """The instrument of an order; for a dependent order, of its trade."""
        if isinstance(order, MarketOrder):
            return order.instrument
        return self.trades[order.trade_id].instrument

    def order_client_id_taken(self, client_id: str) -> bool:
        """Whether any order, in any state, has the client id."""
        return client_id in self._order_by_client

    def trade_client_id_taken(self, client_id: str) -> bool:
        """Whether an open trade has the client id."""
        trade = self.find_trade(f"@{client_id}")
        return trade is not None and trade.state is TradeState.OPEN

    def tradeable_quote(self, instrument: str) -> Quote | None:
        """The current quote for fills; None while the instrument is not tradeable."""
        quote = self.quotes.get(instrument)
        return quote if quote is not None and quote.tradeable else None

    def margin_rate_of(self, instrument: str) -> Decimal:
        """The larger of the instrument's margin rate and the account's."""
        rate = self.instruments[instrument].margin_rate
        return max(rate, self.margin_rate) if self.margin_rate is not None else rate

    def holding(self, instrument: str, units: Decimal, price: Decimal) -> Holding:
        """A holding of an instrument with its latest quote.

        Raises:
            KeyError: the instrument has no quote yet.
        """
        rate = self.margin_rate_of(instrument)
        return Holding(units=units, price=price, margin_rate=rate, quote=self.quotes[instrument])

    def trade_value(self, trade: Trade) -> HoldingValue:
        """An open trade's profit or loss, margin and value at the latest quotes."""
        holding = self.holding(trade.instrument, trade.current_units, trade.price)
        return value_of(holding, self.conversion)

    def value_of_trades(self, trades: Iterable[Trade]) -> HoldingValue:
        """The sum over open trades."""
        return total(self.trade_value(trade) for trade in trades)

    def valuation(self) -> Valuation:
        """The account's figures at the latest quotes."""
        return Valuation.of(self.balance, self.value_of_trades(self.open_trades()))
