"""Transactions of the account's ledger, and the order outcomes that they prove."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.orders import OrderResult, OrderState

DUPLICATE = "CLIENT_ORDER_ID_ALREADY_EXISTS"

OWN_TAG = "sep"
"""Client tag of every order of this stack, and of the trades that they open."""

UNREADABLE = "UNREADABLE"
"""Type of a transaction of which only the id can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """The costs of a transaction in home currency; None where the broker named no such amount.

    ``financing`` is signed, the costs are positive. The factors are home currency per unit of the
    quote currency; ``bid`` and ``ask`` the best prices at the fill.
    """

    financing: Decimal | None = None
    commission: Decimal | None = None
    guaranteed_execution_fee: Decimal | None = None
    half_spread_cost: Decimal | None = None
    home_conversion_cost: Decimal | None = None
    gain_factor: Decimal | None = None
    loss_factor: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None


NO_CHARGES = Charges()


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeAmount:
    """A trade's share of a day's financing or of a dividend, signed, in home currency."""

    trade_id: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOpened:
    """A trade that a fill opened; ``units`` are signed."""

    trade_id: str
    units: Decimal
    price: Decimal
    client_tag: str
    charges: Charges = NO_CHARGES


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeClosed:
    """A trade that a fill closed or reduced; ``realized_pl`` in home currency."""

    trade_id: str
    units: Decimal
    price: Decimal
    realized_pl: Decimal
    charges: Charges = NO_CHARGES


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerDetails:
    """Details of a ledger entry beyond the order's outcome; money in home currency.

    ``home_per_quote`` is the value of one unit of the quote currency at a fill, None where the
    broker gave none. ``trade_close_id`` is the trade that an order closes, and
    ``trade_close_units`` how much of it, None for all. ``trade_id`` is the trade that an order
    closes or belongs to, ``trigger_price`` where a pending order triggers. ``fault`` says what
    could not be read; empty for a sound entry. ``odd`` are fields that decide nothing, and can't
    be read.
    """

    ts_ms: int = 0
    amount: Decimal | None = None
    account_balance: Decimal | None = None
    opened: TradeOpened | None = None
    closed: tuple[TradeClosed, ...] = ()
    home_per_quote: Decimal | None = None
    reduce_only: bool = False
    trade_close_id: str = ""
    trade_close_units: Decimal | None = None
    charges: Charges = NO_CHARGES
    trade_amounts: tuple[TradeAmount, ...] = ()
    trigger_price: Decimal | None = None
    trade_id: str = ""
    fault: str = ""
    odd: tuple[LeftOut, ...] = ()


NO_DETAILS = LedgerDetails()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One ledger entry; fields that its type does not have are empty.

    ``client_order_id`` is the id that the order was sent with, set on its creation, reject,
    fill or cancel. ``units`` and ``price`` belong to a fill; the price is the average of the
    trades that it opened or closed. ``tag`` is the client tag of the order behind it.
    """

    id: int
    type: str
    order_id: str = ""
    client_order_id: str = ""
    instrument: str = ""
    units: Decimal = Decimal(0)
    price: Decimal | None = None
    reason: str = ""
    tag: str = ""
    details: LedgerDetails = NO_DETAILS

    @property
    def realized_pl(self) -> Decimal | None:
        """Profit or loss of a fill that closed or reduced trades, in home currency."""
        closed = self.details.closed
        return sum((trade.realized_pl for trade in closed), Decimal(0)) if closed else None


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """Transactions in id order; ``last_id`` is the account's newest.

    A transaction of which only the id can be read is among the transactions, and left out.
    """

    transactions: tuple[Transaction, ...]
    last_id: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def unread(self) -> tuple[LeftOut, ...]:
        """Transactions that are left out, and single fields of the others."""
        return self.left_out + tuple(field for t in self.transactions for field in t.details.odd)


def result_of(client_order_id: str, transaction: Transaction) -> OrderResult | None:
    """The order result that a fill, cancel or reject proves; None for any other type."""
    if transaction.type == "ORDER_FILL":
        return OrderResult(
            client_order_id=client_order_id,
            state=OrderState.FILLED,
            filled_units=transaction.units,
            fill_price=transaction.price,
            transaction_id=transaction.id,
            realized_pl=transaction.realized_pl,
        )
    if transaction.type == "ORDER_CANCEL":
        state = OrderState.CANCELLED
    elif transaction.type.endswith("_ORDER_REJECT"):
        state = OrderState.REJECTED
    else:
        return None
    return OrderResult(
        client_order_id=client_order_id,
        state=state,
        reason=transaction.reason,
        transaction_id=transaction.id,
    )


def outcome_in_ledger(
    client_order_id: str, transactions: Iterable[Transaction]
) -> OrderResult | None:
    """An order's outcome according to the ledger; None when it does not appear there.

    Precedence: fill, cancel, created but pending, reject. A reject as a duplicate proves only
    that another order with this id exists.
    """
    found = list(transactions)
    created = {
        str(t.id)
        for t in found
        if t.client_order_id == client_order_id and t.type.endswith("_ORDER")
    }
    about = [t for t in found if t.client_order_id == client_order_id or t.order_id in created]
    for ending in ("ORDER_FILL", "ORDER_CANCEL"):
        for transaction in about:
            if transaction.type == ending:
                return result_of(client_order_id, transaction)
    if created:
        return OrderResult(client_order_id=client_order_id, state=OrderState.PENDING)
    return _rejection(client_order_id, about)


def _rejection(client_order_id: str, about: Iterable[Transaction]) -> OrderResult | None:
    rejects = [t for t in about if t.type.endswith("_ORDER_REJECT")]
    for transaction in rejects:
        if transaction.reason != DUPLICATE:
            return result_of(client_order_id, transaction)
    return (
        OrderResult(client_order_id=client_order_id, state=OrderState.UNKNOWN, reason=DUPLICATE)
        if rejects
        else None
    )
