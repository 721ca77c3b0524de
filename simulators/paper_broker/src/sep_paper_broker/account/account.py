"""The account: the interface through which quotes are observed and requests are executed.

It has neither a clock nor a market: the caller (the broker, a replay, a test) passes times and
quotes. Times are nanoseconds since the epoch and must not decrease.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from sep_fx.instrument import Instrument

from sep_paper_broker.account import financing
from sep_paper_broker.account.book import AccountProfile, Book
from sep_paper_broker.account.configuration import configure
from sep_paper_broker.account.conversion import cash, instruments_to_convert
from sep_paper_broker.account.ledger import Ledger
from sep_paper_broker.account.margin import Valuation
from sep_paper_broker.account.trades import Trade, TradeState
from sep_paper_broker.account.transactions import Create, Transaction, TransferFunds
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.market.quote_bar import QuoteBar
from sep_paper_broker.orders import closing, execution, market_orders, trade_orders
from sep_paper_broker.orders.conditions import NORMAL, OrderConditions
from sep_paper_broker.orders.outcomes import (
    ChangeOutcome,
    CloseoutOutcome,
    OrderOutcome,
    TradeOrdersOutcome,
)
from sep_paper_broker.orders.pending_levels import levels_in
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    CloseUnits,
    MarketOrderRequest,
    SideClose,
    TradeOrdersRequest,
)


class UnknownTradeError(LookupError):
    """The specifier matches no open trade."""


class Account:
    """A netting margin account.

    Args:
        book: the account's state; ``Account.open`` creates a new one.
    """

    def __init__(self, book: Book) -> None:
        self.book = book

    @classmethod
    def open(
        cls, profile: AccountProfile, instruments: Mapping[str, Instrument], balance: Decimal
    ) -> "Account":
        """A new account with a balance.

        Raises:
            ValueError: the profile's id is malformed.
        """
        site, division, user, number = profile.number_parts
        book = Book(profile, instruments, Ledger(profile.id, user))
        change = book.ledger.begin(profile.created_time)
        created = Create(
            division_id=division,
            site_id=site,
            account_user_id=user,
            account_number=number,
            home_currency=profile.home_currency,
        )
        book.ledger.record(change, created)
        book.balance = cash(balance)
        change = book.ledger.begin(profile.created_time)
        book.ledger.record(change, TransferFunds(amount=book.balance, account_balance=book.balance))
        return cls(book)

    @property
    def last_transaction_id(self) -> str:
        """The id of the newest transaction."""
        return self.book.ledger.last_id

    def valuation(self) -> Valuation:
        """The account's value and margin at the latest quotes."""
        return self.book.valuation()

    def instruments_needed(self) -> frozenset[str]:
        """The instruments whose quotes are needed to value the open trades."""
        held = self.book.instruments_held()
        quoted = {self.book.instruments[name].quote for name in held}
        home = self.book.profile.home_currency
        return frozenset(held) | instruments_to_convert(quoted, home, self.book.instruments)

    def observe(self, quotes: Iterable[Quote]) -> list[Transaction]:
        """Update quotes, fill the stops and take profits they reach, close out if margin is short.

        Pass all quotes of one time in one call, so that conversions agree with prices.

        Returns:
            The transactions created, oldest first.
        """
        first = len(self.book.ledger)
        fresh = list(quotes)
        for quote in fresh:
            self.book.quotes[quote.instrument] = quote
        for quote in fresh:
            if self.book.tradeable_quote(quote.instrument) is not None:
                execution.trigger(self.book, quote)
        if fresh and self.book.instruments_held() and self.valuation().must_close_out:
            closing.close_out(self.book, self.book.ledger.begin(fresh[-1].time_ns))
        return list(self.book.ledger.since(first))

    def observe_bar(self, bar: QuoteBar) -> list[Transaction]:
        """Observe a candle as a sequence of quotes; see ``QuoteBar``.

        Observe the quotes that conversions need before.

        Returns:
            The transactions created, oldest first.
        """
        first = len(self.book.ledger)
        self.observe([bar.opening])
        for reaching in (bar.reaching_stop, bar.reaching_target):
            # Terminates: each quote fills at least the order at its level.
            while (quote := reaching(levels_in(self.book, bar.instrument))) is not None:
                self.observe([quote])
        self.observe([bar.closing])
        return list(self.book.ledger.since(first))

    def submit(
        self,
        request: MarketOrderRequest,
        now_ns: int,
        request_id: str | None = None,
        *,
        conditions: OrderConditions = NORMAL,
    ) -> OrderOutcome:
        """Create a market order, then fill or cancel it."""
        change = self.book.ledger.begin(now_ns, request_id)
        return market_orders.submit(self.book, change, request, conditions)

    def close_trade(
        self,
        specifier: str,
        units: CloseUnits,
        now_ns: int,
        request_id: str | None = None,
        *,
        conditions: OrderConditions = NORMAL,
    ) -> OrderOutcome:
        """Close all or some units of a trade, by its id or ``@`` and its client id."""
        change = self.book.ledger.begin(now_ns, request_id)
        return closing.close_trade(self.book, change, specifier, units, conditions)

    def close_position(
        self,
        instrument: str,
        now_ns: int,
        *,
        long: SideClose = SideClose(),  # noqa: B008 - a frozen value
        short: SideClose = SideClose(),  # noqa: B008 - a frozen value
        request_id: str | None = None,
        conditions: OrderConditions = NORMAL,
    ) -> CloseoutOutcome:
        """Close all or some units of the sides of a position."""
        change = self.book.ledger.begin(now_ns, request_id)
        return closing.close_position(self.book, change, instrument, long, short, conditions)

    def close_out(self, now_ns: int) -> list[OrderOutcome]:
        """Close every trade of a tradeable instrument as a margin closeout."""
        return closing.close_out(self.book, self.book.ledger.begin(now_ns))

    def set_trade_orders(
        self,
        specifier: str,
        request: TradeOrdersRequest,
        now_ns: int,
        request_id: str | None = None,
    ) -> TradeOrdersOutcome:
        """Create, replace or cancel a trade's stop loss and take profit.

        Raises:
            UnknownTradeError: there is no such open trade.
        """
        trade = self._open_trade(specifier)
        change = self.book.ledger.begin(now_ns, request_id)
        return trade_orders.set_trade_orders(self.book, change, trade, request)

    def cancel_order(
        self, specifier: str, now_ns: int, request_id: str | None = None
    ) -> ChangeOutcome:
        """Cancel a pending order, by its id or ``@`` and its client id."""
        change = self.book.ledger.begin(now_ns, request_id)
        return trade_orders.cancel_order(self.book, change, specifier)

    def set_order_extensions(
        self,
        specifier: str,
        extensions: ClientExtensions | None,
        trade_extensions: ClientExtensions | None,
        now_ns: int,
        request_id: str | None = None,
    ) -> ChangeOutcome:
        """Change a pending order's client extensions."""
        change = self.book.ledger.begin(now_ns, request_id)
        return trade_orders.set_order_extensions(
            self.book, change, specifier, extensions, trade_extensions
        )

    def set_trade_extensions(
        self,
        specifier: str,
        extensions: ClientExtensions,
        now_ns: int,
        request_id: str | None = None,
    ) -> ChangeOutcome:
        """Change an open trade's client extensions.

        Raises:
            UnknownTradeError: there is no such open trade.
        """
        trade = self._open_trade(specifier)
        change = self.book.ledger.begin(now_ns, request_id)
        return trade_orders.set_trade_extensions(self.book, change, trade, extensions)

    def configure(
        self,
        alias: str | None,
        margin_rate: Decimal | None,
        now_ns: int,
        request_id: str | None = None,
    ) -> ChangeOutcome:
        """Change the account's alias or margin rate."""
        change = self.book.ledger.begin(now_ns, request_id)
        return configure(self.book, change, alias, margin_rate)

    def accrue_financing(
        self, at_ns: int, rate_of: Callable[[Trade], Decimal] = financing.rate_of_trade
    ) -> Transaction | None:
        """Book one day's financing on the open trades; see ``financing.rollovers``."""
        return financing.accrue(self.book, self.book.ledger.begin(at_ns), rate_of)

    def _open_trade(self, specifier: str) -> Trade:
        trade = self.book.find_trade(specifier)
        if trade is None or trade.state is not TradeState.OPEN:
            raise UnknownTradeError(specifier)
        return trade
