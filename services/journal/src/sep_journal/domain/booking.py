"""Books a transaction: which trades it changed, and how the balance's change is explained.

The balance that the broker writes into a transaction is the truth. What its own amounts do not
explain is booked as ``other`` on a trade of the transaction, or as a transfer if it has none, so
that the sums agree to the last digit whatever an entry lacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from sep_journal.domain.exact import ZERO, difference, product, ratio, share_of, total
from sep_journal.domain.ledger import Charges, Closed, Opened, Order, Transaction

OWN_TAG = "sep"
"""Client tag of the trades that this stack opens."""
FINANCING = "DAILY_FINANCING"
_TRIGGERED = (
    "STOP_LOSS_ORDER",
    "TRAILING_STOP_LOSS_ORDER",
    "GUARANTEED_STOP_LOSS_ORDER",
    "TAKE_PROFIT_ORDER",
)


class ExecutionKind(StrEnum):
    """What a transaction did to a trade."""

    OPEN = "open"
    CLOSE = "close"
    ADJUST = "adjust"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The effect of one transaction on one trade, in home currency.

    ``pl``, ``financing``, ``conversion`` and ``other`` are signed; ``commission``, ``fee`` and
    ``half_spread`` are positive for a cost. Half-spread and conversion are inside ``pl``, the
    others beside it. ``rate`` is home currency per unit of the quote currency, ``trigger`` the
    price of the stop or take profit behind it.
    """

    transaction_id: int
    trade_id: int
    seq: int
    kind: ExecutionKind
    ts_ms: int
    instrument: str = ""
    reason: str = ""
    client_order_id: str = ""
    own: bool = False
    units: Decimal = ZERO
    price: Decimal | None = None
    rate: Decimal | None = None
    trigger: Decimal | None = None
    pl: Decimal = ZERO
    financing: Decimal = ZERO
    commission: Decimal = ZERO
    fee: Decimal = ZERO
    half_spread: Decimal = ZERO
    conversion: Decimal = ZERO
    other: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        """The change of the balance by it."""
        return total((self.pl, self.financing, -self.commission, -self.fee, self.other))


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The balance after a transaction. It is ``certain`` unless an unreadable entry may have
    changed it since the broker last named it."""

    amount: Decimal = ZERO
    certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A transaction, completed from its order, with what it did.

    ``change`` is the change of the balance: what the executions net, and the ``transfer``.
    """

    transaction: Transaction
    executions: tuple[Execution, ...]
    change: Decimal
    transfer: Decimal
    balance: Balance


def book(transaction: Transaction, orders: Mapping[int, Order], before: Balance) -> Booking:
    """Book a transaction.

    Args:
        orders: created orders by id; may have only the one behind the transaction.
        before: the balance after the transaction before it.
    """
    order = orders.get(int(transaction.order_id)) if transaction.order_id.isdigit() else None
    completed = _completed(transaction, order)
    executions = _executions(completed, order)
    explained = total(execution.net for execution in executions)
    if completed.account_balance is None:
        certain = before.certain and not completed.fault
        after = Balance(amount=total((before.amount, explained)), certain=certain)
        return Booking(
            transaction=completed,
            executions=executions,
            change=explained,
            transfer=ZERO,
            balance=after,
        )
    change = difference(completed.account_balance, before.amount)
    rest = difference(change, explained)
    if executions and before.certain:
        if rest:
            executions = (*executions[:-1], _with_other(executions[-1], rest))
        rest = ZERO
    return Booking(
        transaction=completed,
        executions=executions,
        change=change,
        transfer=rest,
        balance=Balance(amount=completed.account_balance),
    )


def _with_other(execution: Execution, rest: Decimal) -> Execution:
    return replace(execution, other=total((execution.other, rest)))


def _completed(transaction: Transaction, order: Order | None) -> Transaction:
    """The transaction with what only the creation of its order says."""
    if order is None or (
        transaction.instrument and transaction.client_order_id and transaction.client_tag
    ):
        return transaction
    return replace(
        transaction,
        instrument=transaction.instrument or order.instrument,
        client_order_id=transaction.client_order_id or order.client_order_id,
        client_tag=transaction.client_tag or order.client_tag,
    )


def _executions(transaction: Transaction, order: Order | None) -> tuple[Execution, ...]:
    if transaction.trade_amounts:
        return _adjustments(transaction)
    opened, closed = transaction.opened, transaction.closed
    members: list[Opened | Closed] = [*closed, *([opened] if opened else ())]
    commissions = _commissions(transaction, members)
    return tuple(
        _execution(transaction, order, seq, member, commission)
        for seq, (member, commission) in enumerate(zip(members, commissions, strict=True))
    )


def _adjustments(transaction: Transaction) -> tuple[Execution, ...]:
    financing = transaction.type == FINANCING
    return tuple(
        Execution(
            transaction_id=transaction.id,
            trade_id=share.trade_id,
            seq=seq,
            kind=ExecutionKind.ADJUST,
            ts_ms=transaction.ts_ms,
            reason=transaction.type,
            financing=share.amount if financing else ZERO,
            other=ZERO if financing else share.amount,
        )
        for seq, share in enumerate(transaction.trade_amounts)
    )


def _commissions(transaction: Transaction, members: list[Opened | Closed]) -> list[Decimal]:
    """The commission of each member by its units; the last has what the others leave."""
    commission = transaction.charges.commission or ZERO
    units = total(abs(member.units) for member in members)
    if not members:
        return []
    shares = [
        share_of(commission, abs(member.units), units) if units else ZERO for member in members[:-1]
    ]
    return [*shares, difference(commission, total(shares))]


def _execution(
    transaction: Transaction,
    order: Order | None,
    seq: int,
    member: Opened | Closed,
    commission: Decimal,
) -> Execution:
    charges, rate = member.charges, _rate(transaction.charges)
    closes = isinstance(member, Closed)
    pl = member.realized_pl if isinstance(member, Closed) else ZERO
    triggered = transaction.reason in _TRIGGERED and order is not None
    tagged = isinstance(member, Opened) and member.client_tag == OWN_TAG
    return Execution(
        transaction_id=transaction.id,
        trade_id=member.trade_id,
        seq=seq,
        kind=ExecutionKind.CLOSE if closes else ExecutionKind.OPEN,
        ts_ms=transaction.ts_ms,
        instrument=transaction.instrument,
        reason=transaction.reason,
        client_order_id=transaction.client_order_id,
        own=tagged or transaction.client_tag == OWN_TAG,
        units=member.units,
        price=member.price,
        rate=rate,
        trigger=order.trigger_price if triggered and order else None,
        pl=pl,
        financing=charges.financing or ZERO,
        commission=commission,
        fee=charges.guaranteed_execution_fee or ZERO,
        half_spread=_half_spread(transaction.charges, member, rate),
        conversion=_conversion(transaction.charges, member, pl),
    )


def _rate(charges: Charges) -> Decimal | None:
    """The middle of the broker's two rates, or the one that there is."""
    gain, loss = charges.gain_factor, charges.loss_factor
    if gain is None or loss is None:
        return loss if gain is None else gain
    return ratio(total((gain, loss)), Decimal(2))


def _half_spread(charges: Charges, member: Opened | Closed, rate: Decimal | None) -> Decimal:
    """As the broker names it, else from the best prices at the fill."""
    if member.charges.half_spread_cost is not None:
        return member.charges.half_spread_cost
    if charges.bid is None or charges.ask is None or rate is None:
        return ZERO
    half = ratio(difference(charges.ask, charges.bid), Decimal(2))
    return product(half, abs(member.units), rate)


def _conversion(charges: Charges, member: Opened | Closed, pl: Decimal) -> Decimal:
    """The cost of converting a result, against the middle rate; negative for a cost."""
    if member.charges.home_conversion_cost is not None:
        return -member.charges.home_conversion_cost
    rate, factor = _rate(charges), charges.gain_factor if pl > 0 else charges.loss_factor
    if not pl or rate is None or not factor:
        return ZERO
    return difference(pl, product(pl, ratio(rate, factor)))
