"""The account's complete state as plain values, to persist and restore it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from sep_fx.instrument import Instrument

from sep_paper_broker.account.account import Account
from sep_paper_broker.account.book import AccountProfile, Book
from sep_paper_broker.account.ledger import Ledger
from sep_paper_broker.account.trades import PositionTally, Trade
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.order import Order
from sep_paper_broker.orders.order_records import OrderCancel

FinalRecord = Transaction | Order | Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """The complete state of an account; orders and trades oldest first."""

    profile: AccountProfile
    balance: Decimal
    pl: Decimal
    financing: Decimal
    alias: str
    margin_rate: Decimal | None = None
    last_fill_time: int | None = None
    quotes: tuple[Quote, ...]
    tallies: tuple[PositionTally, ...]
    trades: tuple[Trade, ...]
    orders: tuple[Order, ...]
    transactions: tuple[Transaction, ...]


def take_snapshot(account: Account) -> AccountSnapshot:
    """The account's current state."""
    book = account.book
    return replace(
        take_live(account),
        trades=tuple(book.trades.values()),
        orders=tuple(book.orders.values()),
        transactions=tuple(book.ledger.transactions),
    )


def take_live(account: Account) -> AccountSnapshot:
    """The part of the account that can still change: open trades and pending orders."""
    book = account.book
    return AccountSnapshot(
        profile=book.profile,
        balance=book.balance,
        pl=book.pl,
        financing=book.financing,
        alias=book.alias,
        margin_rate=book.margin_rate,
        last_fill_time=book.last_fill_time,
        quotes=tuple(book.quotes.values()),
        tallies=tuple(book.tallies.values()),
        trades=tuple(book.open_trades()),
        orders=tuple(book.pending_orders()),
        transactions=(),
    )


def final_records_since(account: Account, count: int) -> list[FinalRecord]:
    """The records that became final after the first ``count`` transactions.

    These are the transactions and the orders and trades that they ended. Together with
    ``take_live`` they are the complete account.
    """
    book = account.book
    final: list[FinalRecord] = []
    for transaction in book.ledger.since(count):
        final.append(transaction)
        body = transaction.body
        if isinstance(body, OrderFill | OrderCancel):
            final.append(book.orders[body.order_id])
        if isinstance(body, OrderFill):
            final += [book.trades[closed.trade_id] for closed in body.trades_closed or ()]
    return final


def assemble(live: AccountSnapshot, final: Iterable[FinalRecord]) -> AccountSnapshot:
    """The complete state from its live and its final part."""
    transactions: list[Transaction] = []
    orders: list[Order] = list(live.orders)
    trades: list[Trade] = list(live.trades)
    for value in final:
        if isinstance(value, Transaction):
            transactions.append(value)
        elif isinstance(value, Trade):
            trades.append(value)
        else:
            orders.append(value)
    return replace(
        live,
        transactions=tuple(transactions),
        orders=tuple(sorted(orders, key=lambda order: int(order.id))),
        trades=tuple(sorted(trades, key=lambda trade: int(trade.id))),
    )


def frozen_view(account: Account) -> Account:
    """A copy of the account that does not change any more, valued at the live quotes."""
    view = restore(take_snapshot(account), account.book.instruments)
    view.book.quotes = account.book.quotes
    view.book.conversion = account.book.conversion
    return view


def restore(snapshot: AccountSnapshot, instruments: Mapping[str, Instrument]) -> Account:
    """An account with the state of a snapshot."""
    profile = snapshot.profile
    book = Book(profile, instruments, Ledger(profile.id, profile.user_id, snapshot.transactions))
    book.balance = snapshot.balance
    book.pl = snapshot.pl
    book.financing = snapshot.financing
    book.alias = snapshot.alias
    book.margin_rate = snapshot.margin_rate
    book.last_fill_time = snapshot.last_fill_time
    book.quotes.update({quote.instrument: quote for quote in snapshot.quotes})
    book.tallies.update({tally.instrument: tally for tally in snapshot.tallies})
    for trade in snapshot.trades:
        book.put_trade(trade)
    for order in snapshot.orders:
        book.put_order(order)
    return Account(book)
