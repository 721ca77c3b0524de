"""Account settings that the client may change."""

from decimal import Decimal

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.ledger import Change
from sep_paper_broker.account.transactions import ClientConfigure, ClientConfigureReject
from sep_paper_broker.orders.outcomes import ChangeOutcome
from sep_paper_broker.orders.reasons import RejectReason


def configure(
    book: Book, change: Change, alias: str | None, margin_rate: Decimal | None
) -> ChangeOutcome:
    """Change the alias, the account's margin rate, or both.

    The margin rate applies where it is above the instrument's own.
    """
    fault = _check(book, alias, margin_rate)
    if fault is not None:
        reject = book.ledger.record(change, ClientConfigureReject(fault, alias, margin_rate))
        return ChangeOutcome((reject.id,), reject=reject)
    done = book.ledger.record(change, ClientConfigure(alias, margin_rate))
    book.alias = alias if alias is not None else book.alias
    book.margin_rate = margin_rate if margin_rate is not None else book.margin_rate
    return ChangeOutcome((done.id,), done)


def _check(book: Book, alias: str | None, margin_rate: Decimal | None) -> RejectReason | None:
    if alias is None and margin_rate is None:
        return RejectReason.CLIENT_CONFIGURE_DATA_MISSING
    if margin_rate is None:
        return None
    if not Decimal("0.01") <= margin_rate <= 1:
        return RejectReason.MARGIN_RATE_INVALID
    before, book.margin_rate = book.margin_rate, margin_rate
    closes_out = book.valuation().must_close_out
    book.margin_rate = before
    return RejectReason.MARGIN_RATE_WOULD_TRIGGER_CLOSEOUT if closes_out else None
