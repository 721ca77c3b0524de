"""CloseAmount an account holds, and the plain questions one can ask of it."""

from collections.abc import Iterable, Mapping
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
    """Who the account belongs to.

    ``id`` has the broker's form site-division-user-number.
    """

    id: str
    home_currency: str
    created_time: int

    @property
    def user_id(self) -> int:
        """The user's number inside the id."""
        return self.number_parts[2]

    @property
    def number_parts(self) -> tuple[int, int, int, int]:
        """Site, division, user and account number.

        Raises:
            ValueError: the id does not have four numbers.
        """
        parts = self.id.split("-")
        if len(parts) != 4 or not all(part.isdecimal() for part in parts):
            raise ValueError(f"account id {self.id!r} is not like 101-001-0000001-001")
        site, division, user, number = (int(part) for part in parts)
        return site, division, user, number


class Book:
    """The account's state with its indexes. Only the modules of this package change it.

    Args:
        profile: who the account belongs to.
        instruments: what may be traded.
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
        self.conversion = HomeConversion(profile.home_currency, self.quotes)

    def ids_after(self, count: int) -> tuple[str, ...]:
        """The ids of all transactions but the first ``count``."""
        return tuple(str(i) for i in range(count + 1, len(self.ledger) + 1))

    def put_trade(self, trade: Trade) -> None:
        """Add a trade or its new version."""
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
        """Add an order or its new version."""
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
        """The realised figures of an instrument."""
        return self.tallies.get(instrument) or PositionTally(instrument)

    def open_trades(self, instrument: str | None = None) -> list[Trade]:
        """Open trades, oldest first, of one instrument or of all."""
        if instrument is not None:
            return [self.trades[i] for i in self._open.get(instrument, ())]
        ids = (i for of_instrument in self._open.values() for i in of_instrument)
        return [self.trades[i] for i in sorted(ids, key=int)]

    def position_units(self, instrument: str) -> Decimal:
        """Net units of an instrument, the sum of its open trades."""
        return sum((trade.current_units for trade in self.open_trades(instrument)), ZERO)

    def instruments_held(self) -> list[str]:
        """Instruments with an open trade, in name order."""
        return sorted(name for name, ids in self._open.items() if ids)

    def pending_orders(self) -> list[DependentOrder]:
        """Orders that wait, oldest first."""
        pending = (self.orders[i] for i in self._pending)
        return [order for order in pending if not isinstance(order, MarketOrder)]

    def find_order(self, specifier: str) -> Order | None:
        """An order by its id or by ``@`` and the client's id."""
        if specifier.startswith("@"):
            return self.orders.get(self._order_by_client.get(specifier[1:], ""))
        return self.orders.get(specifier)

    def find_trade(self, specifier: str) -> Trade | None:
        """A trade by its id or by ``@`` and the client's id."""
        if specifier.startswith("@"):
            return self.trades.get(self._trade_by_client.get(specifier[1:], ""))
        return self.trades.get(specifier)

    def instrument_of(self, order: Order) -> str:
        """The instrument of an order, for a dependent one that of its trade."""
        if isinstance(order, MarketOrder):
            return order.instrument
        return self.trades[order.trade_id].instrument

    def order_client_id_taken(self, client_id: str) -> bool:
        """Whether any order, whatever became of it, has the client's id."""
        return client_id in self._order_by_client

    def trade_client_id_taken(self, client_id: str) -> bool:
        """Whether an open trade has the client's id."""
        trade = self.find_trade(f"@{client_id}")
        return trade is not None and trade.state is TradeState.OPEN

    def tradeable_quote(self, instrument: str) -> Quote | None:
        """The quote that orders are filled at now, None while the instrument is halted."""
        quote = self.quotes.get(instrument)
        return quote if quote is not None and quote.tradeable else None

    def margin_rate_of(self, instrument: str) -> Decimal:
        """The instrument's rate, or the account's own where that is higher."""
        rate = self.instruments[instrument].margin_rate
        return max(rate, self.margin_rate) if self.margin_rate is not None else rate

    def holding(self, instrument: str, units: Decimal, price: Decimal) -> Holding:
        """Units of an instrument at the latest quote.

        Raises:
            KeyError: the instrument has no quote yet.
        """
        rate = self.margin_rate_of(instrument)
        return Holding(units, price, rate, self.quotes[instrument])

    def trade_value(self, trade: Trade) -> HoldingValue:
        """An open trade's profit or loss, margin and value now."""
        holding = self.holding(trade.instrument, trade.current_units, trade.price)
        return value_of(holding, self.conversion)

    def value_of_trades(self, trades: Iterable[Trade]) -> HoldingValue:
        """The sum over open trades."""
        return total(self.trade_value(trade) for trade in trades)

    def valuation(self) -> Valuation:
        """The account's figures at the latest quotes."""
        return Valuation.of(self.balance, self.value_of_trades(self.open_trades()))
