"""Financing of positions held over 17:00 New York.

A long position lends its base currency and borrows its quote currency; a short one does the
reverse. Each day at 17:00 New York, weekends included, a trade is paid or charged

    position value in home currency * annual rate / 365

where the annual rate is (base rate - quote rate) for a long trade and its negative for a short
one, less the broker's charge in both cases. The rates are constants.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from sep_fx.instants import NS_PER_SECOND
from sep_fx.sessions import NEW_YORK

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.conversion import cash
from sep_paper_broker.account.ledger import Change
from sep_paper_broker.account.trades import ZERO, Trade
from sep_paper_broker.account.transactions import (
    DailyFinancing,
    OpenTradeFinancing,
    PositionFinancing,
    Transaction,
)

_ROLLOVER = time(17)
_ANNUAL_RATES = {
    "AUD": Decimal("0.035"),
    "CAD": Decimal("0.028"),
    "CHF": Decimal("0.005"),
    "EUR": Decimal("0.022"),
    "GBP": Decimal("0.042"),
    "JPY": Decimal("0.005"),
    "NZD": Decimal("0.035"),
    "USD": Decimal("0.043"),
}
_CHARGE = Decimal("0.010")
_DAYS_A_YEAR = 365


def rollovers(after_ns: int, until_ns: int) -> Iterator[int]:
    """The times of 17:00 New York in ``(after_ns, until_ns]``, in order."""
    begin = datetime.fromtimestamp(after_ns // NS_PER_SECOND, tz=UTC).astimezone(NEW_YORK)
    day = begin.date()
    while True:
        local = datetime.combine(day, _ROLLOVER, NEW_YORK)
        instant = int(local.timestamp()) * NS_PER_SECOND
        if instant > until_ns:
            return
        if instant > after_ns:
            yield instant
        day += timedelta(days=1)


def annual_rate(instrument: str, *, long: bool) -> Decimal:
    """Yearly financing of a position as a fraction of its value; negative if it pays."""
    base, quote = instrument.split("_")
    carry = _ANNUAL_RATES[base] - _ANNUAL_RATES[quote]
    return (carry if long else -carry) - _CHARGE


def rate_of_trade(trade: Trade) -> Decimal:
    """Yearly financing of a trade at the constant rates."""
    return annual_rate(trade.instrument, long=trade.is_long)


def accrue(
    book: Book, change: Change, rate_of: Callable[[Trade], Decimal] = rate_of_trade
) -> Transaction | None:
    """Book one day's financing on every open trade; None if no trade is open.

    Args:
        rate_of: yearly financing of a trade as a fraction of its value, negative if it pays.
    """
    by_instrument: list[PositionFinancing] = []
    for instrument in book.instruments_held():
        shares = [
            OpenTradeFinancing(trade.id, _of_trade(book, trade, rate_of(trade)))
            for trade in book.open_trades(instrument)
        ]
        amount = sum((share.financing for share in shares), ZERO)
        by_instrument.append(PositionFinancing(instrument, amount, tuple(shares)))
    if not by_instrument:
        return None
    amount = sum((position.financing for position in by_instrument), ZERO)
    book.balance += amount
    book.financing += amount
    for position in by_instrument:
        for share in position.open_trade_financings:
            trade = book.trades[share.trade_id]
            book.put_trade(trade.financed(share.financing))
            tally = book.tally(position.instrument)
            tally = tally.with_financing(share.financing, long=trade.is_long)
            book.tallies[position.instrument] = tally
    body = DailyFinancing(
        financing=amount, account_balance=book.balance, position_financings=tuple(by_instrument)
    )
    return book.ledger.record(change, body)


def _of_trade(book: Book, trade: Trade, rate: Decimal) -> Decimal:
    return cash(book.trade_value(trade).position_value * rate / _DAYS_A_YEAR)
