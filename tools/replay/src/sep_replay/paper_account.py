"""An account of the paper broker, driven by candles, behind the guard's view of a broker."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from sep_evaluator.domain.costs import NO_COST_TABLE, CostTable
from sep_fx.bars import Bars
from sep_fx.instants import NS_PER_MS, NS_PER_SECOND
from sep_fx.instrument import Instrument
from sep_guard.domain import market
from sep_guard.domain.orders import Intent
from sep_paper_broker.account.account import Account
from sep_paper_broker.account.book import AccountProfile
from sep_paper_broker.account.conversion import NoConversionError
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.market.quote_bar import Ohlc, QuoteBar
from sep_paper_broker.orders.conditions import NORMAL, OrderConditions
from sep_paper_broker.orders.outcomes import OrderOutcome
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    MarketOrderRequest,
    PositionFill,
    StopLossDetails,
    TakeProfitDetails,
)

from sep_replay.account_costs import AccountCosts

_TAG = "sep"


class _Prices(dict[float, Decimal]):
    """Decimal prices of floats at the broker's precision, cached since prices repeat."""

    def __init__(self, rules: Instrument) -> None:
        self._rules = rules

    def __missing__(self, price: float) -> Decimal:
        rounded = self[price] = self._rules.round_price(Decimal(repr(float(price))))
        return rounded


class PaperAccount:
    """A paper account in event time.

    Args:
        conditions: how the broker treats each order.
        home: the account's currency.
        costs: beside the spread of the candles.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        balance: Decimal,
        opened_s: int,
        conditions: OrderConditions = NORMAL,
        home: str = "USD",
        costs: CostTable = NO_COST_TABLE,
    ) -> None:
        profile = AccountProfile("101-001-0000001-001", home, opened_s * NS_PER_SECOND)
        self._costs = AccountCosts(costs)
        self._rules = instruments
        self._account = Account.open(profile, instruments, balance)
        self._account.book.stop_slippage = self._slippage
        self._prices = {name: _Prices(rules) for name, rules in instruments.items()}
        self._conditions = conditions
        self._live_until: dict[str, int] = {}
        self._ordered_ns = 0

    @property
    def nav(self) -> Decimal:
        """Net asset value in home currency."""
        return self._account.valuation().nav

    @property
    def balance(self) -> Decimal:
        """Cash without open positions."""
        return self._account.valuation().balance

    @property
    def is_flat(self) -> bool:
        """Whether no position is open."""
        return not self._account.book.instruments_held()

    def begin(
        self, instrument: str, bars: Bars, at: int, bar_seconds: int
    ) -> Sequence[Transaction]:
        """Open a bar: its first price is the live one until it ends.

        A tape has no prices inside a bar. Orders of that time fill at the opening price, as
        orders of the backtest do.

        Returns:
            The transactions it caused: stops and take profits that the open lies beyond.
        """
        start = int(bars.time[at]) * NS_PER_SECOND
        self._live_until[instrument] = start + bar_seconds * NS_PER_SECOND
        return self._account.observe(
            [self._quote(instrument, start, bars.bid_o[at], bars.ask_o[at])]
        )

    def observe(
        self, instrument: str, bars: Bars, at: int, bar_seconds: int
    ) -> Sequence[Transaction]:
        """Play the rest of a bar; returns the transactions it caused, financing included."""
        # Without a trade no stop or take profit can be reached within the bar.
        if self.is_flat:
            end = (int(bars.time[at]) + bar_seconds) * NS_PER_SECOND
            return self._account.observe(
                [self._quote(instrument, end, bars.bid_c[at], bars.ask_c[at])]
            )
        bar = self._bar(instrument, bars, at, bar_seconds)
        # What was ordered within the bar comes before the rest of it.
        return self._account.observe_bar(replace(bar, start_ns=max(bar.start_ns, self._ordered_ns)))

    def _quote(self, instrument: str, time_ns: int, bid: float, ask: float) -> Quote:
        prices = self._prices[instrument]
        return Quote(instrument=instrument, time_ns=time_ns, bid=prices[bid], ask=prices[ask])

    def _bar(self, instrument: str, bars: Bars, at: int, bar_seconds: int) -> QuoteBar:
        prices = self._prices[instrument]
        bid = Ohlc(*(prices[c[at]] for c in (bars.bid_o, bars.bid_h, bars.bid_l, bars.bid_c)))
        ask = Ohlc(*(prices[c[at]] for c in (bars.ask_o, bars.ask_h, bars.ask_l, bars.ask_c)))
        start = int(bars.time[at]) * NS_PER_SECOND
        return QuoteBar(
            instrument=instrument,
            start_ns=start,
            end_ns=start + bar_seconds * NS_PER_SECOND,
            bid=bid,
            ask=ask,
        )

    @property
    def last_transaction_id(self) -> int:
        """The newest transaction."""
        return int(self._account.last_transaction_id)

    def transactions_since(self, transaction_id: int) -> Sequence[Transaction]:
        """The transactions after one, oldest first."""
        return self._account.book.ledger.since(transaction_id)

    def held(self) -> frozenset[str]:
        """Instruments with an open position."""
        return frozenset(self._account.book.instruments_held())

    def state(self) -> market.Account:
        """The account as the guard reads it."""
        value = self._account.valuation()
        return market.Account(
            balance=value.balance,
            nav=value.nav,
            margin_used=value.margin_used,
            margin_available=value.margin_available,
            last_transaction_id=self._account.last_transaction_id,
        )

    def holding(self, instrument: str) -> market.Holding:
        """Units held in an instrument, all of them managed."""
        return market.Holding(managed=self._account.book.position_units(instrument))

    def quote(self, instrument: str, now_s: int) -> market.Quote | None:
        """The last quote, None before the first; while a bar is forming it is one of now."""
        quote = self._account.book.quotes.get(instrument)
        if quote is None:
            return None
        now_ns = now_s * NS_PER_SECOND
        live = now_ns < self._live_until.get(instrument, 0)
        return market.Quote(
            bid=quote.bid,
            ask=quote.ask,
            ts_ms=(now_ns if live else quote.time_ns) // NS_PER_MS,
            tradeable=quote.tradeable,
        )

    def home_per_unit(self, currency: str) -> Decimal | None:
        """Value of one unit of a currency in home currency; None without a conversion rate."""
        try:
            return self._account.book.conversion.factors(currency).value
        except NoConversionError:
            return None

    def place(self, intent: Intent, now_s: int) -> OrderOutcome:
        """Send an order as the gateway would."""
        own = ClientExtensions(id=intent.client_order_id, tag=_TAG)
        stop, profit = intent.stop_loss, intent.take_profit
        request = MarketOrderRequest(
            instrument=intent.instrument,
            units=intent.units,
            price_bound=intent.price_bound,
            position_fill=(
                PositionFill.REDUCE_ONLY if intent.reduce_only else PositionFill.DEFAULT
            ),
            client_extensions=own,
            trade_client_extensions=None if intent.reduce_only else own,
            stop_loss_on_fill=None if stop is None else StopLossDetails(price=stop),
            take_profit_on_fill=None if profit is None else TakeProfitDetails(price=profit),
        )
        self._ordered_ns = now_s * NS_PER_SECOND
        conditions = self._conditions
        quote = self._account.book.quotes.get(intent.instrument)
        if quote is not None and (slip := self._slippage(quote)):
            conditions = replace(conditions, slippage=conditions.slippage + slip)
        return self._account.submit(request, self._ordered_ns, conditions=conditions)

    def finance(self, at_s: int) -> Sequence[Transaction]:
        """Book a day's financing on open trades at 17:00 New York; nothing without its cost."""
        if not any(map(self._costs.financed, self.held())):
            return ()
        booked = self._account.accrue_financing(at_s * NS_PER_SECOND, self._costs.annual_rate)
        return () if booked is None else (booked,)

    def _slippage(self, quote: Quote) -> Decimal:
        slip = self._costs.slippage(quote)
        return self._rules[quote.instrument].round_price(slip) if slip else slip
