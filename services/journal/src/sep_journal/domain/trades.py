"""Trades: the executions that the broker booked on each, and the parts of its result."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

from sep_journal.domain.booking import Execution, ExecutionKind
from sep_journal.domain.exact import ZERO, difference, product, ratio, share_of, total

_CLOSE_WITHIN_MS = 120_000
"""A close by trade id has no client id; it follows its decision within this time."""
_PRICE_STEP = Decimal("0.0000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLink:
    """An order of this stack with its decision.

    ``trade_id`` is the trade that it closes, 0 for none. ``quote_mid`` is the middle of the quote
    that it was decided with, ``signal_mid`` the closing middle of the candle behind the signal;
    None where the record has none.
    """

    client_order_id: str
    decision_id: str
    ts_ms: int
    trade_id: int = 0
    quote_mid: Decimal | None = None
    signal_mid: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostParts:
    """The parts of a result, in home currency; a cost is negative."""

    signal: Decimal = ZERO
    half_spread: Decimal = ZERO
    delay: Decimal = ZERO
    slippage: Decimal = ZERO
    financing: Decimal = ZERO
    conversion: Decimal = ZERO
    commission: Decimal = ZERO
    other: Decimal = ZERO

    @property
    def sum(self) -> Decimal:
        """The result in home currency: the sum of all parts."""
        return total(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A trade. Of an open one, amounts are what is realised so far.

    ``units`` are as opened, ``open_units`` what is left of them. Prices are None where no
    readable transaction has one.
    """

    id: int
    instrument: str
    units: Decimal
    open_units: Decimal
    open_ms: int
    close_ms: int | None
    open_price: Decimal | None
    close_price: Decimal | None
    net_pl: Decimal
    parts: CostParts
    decision_ids: tuple[str, ...]
    exit: str
    own: bool


def trade_of(executions: Sequence[Execution], links: Iterable[OrderLink]) -> Trade:
    """The trade that these executions made.

    Args:
        executions: all of one trade, oldest first; at least one.
        links: orders that may have opened or closed it.
    """
    found = list(links)
    opening = next((e for e in executions if e.kind is ExecutionKind.OPEN), None)
    closes = [e for e in executions if e.kind is ExecutionKind.CLOSE]
    closed = total(e.units for e in closes)
    # A trade whose opening can't be read was as large as what was closed of it.
    units = opening.units if opening else -closed
    left = total((units, closed))
    done = bool(closes) and left == ZERO
    used = [link for e in executions if (link := link_of(e, found)) is not None]
    net = total(e.net for e in executions)
    return Trade(
        id=executions[0].trade_id,
        instrument=next((e.instrument for e in executions if e.instrument), ""),
        units=units,
        open_units=left,
        open_ms=executions[0].ts_ms,
        close_ms=closes[-1].ts_ms if done else None,
        open_price=opening.price if opening else None,
        close_price=_average_price(closes),
        net_pl=net,
        parts=_parts(executions, found, net, abs(closed), abs(units)),
        decision_ids=tuple(dict.fromkeys(link.decision_id for link in used)),
        exit=closes[-1].reason if closes else "",
        own=opening.own if opening else False,
    )


def link_of(execution: Execution, links: Sequence[OrderLink]) -> OrderLink | None:
    """The order behind an execution: by its client id, else the close that was decided last."""
    if execution.kind is ExecutionKind.ADJUST:
        return None
    if execution.client_order_id:
        same = (link for link in links if link.client_order_id == execution.client_order_id)
        return next(same, None)
    if execution.kind is ExecutionKind.OPEN or execution.trigger is not None:
        return None
    earliest = execution.ts_ms - _CLOSE_WITHIN_MS
    before = [
        link
        for link in links
        if link.trade_id == execution.trade_id and earliest <= link.ts_ms <= execution.ts_ms
    ]
    return max(before, key=lambda link: (link.ts_ms, link.client_order_id), default=None)


def _average_price(closes: Sequence[Execution]) -> Decimal | None:
    priced = [(e.price, abs(e.units)) for e in closes if e.price is not None and e.units]
    if not priced:
        return None
    if len({price for price, _ in priced}) == 1:
        return priced[0][0]
    cash = total(price * units for price, units in priced)
    return ratio(cash, total(units for _, units in priced)).quantize(_PRICE_STEP)


def _parts(
    executions: Sequence[Execution],
    links: Sequence[OrderLink],
    net: Decimal,
    closed: Decimal,
    units: Decimal,
) -> CostParts:
    """The parts; ``signal`` is what the others leave, so that they add up exactly."""

    def realised(execution: Execution, amount: Decimal) -> Decimal:
        """Costs of the entry belong to the units that were closed, until all are."""
        if execution.kind is not ExecutionKind.OPEN or not units:
            return amount
        return share_of(amount, min(closed, units), units)

    delay = slippage = ZERO
    for execution in executions:
        late, slipped = _moves(execution, link_of(execution, links))
        delay = total((delay, realised(execution, late)))
        slippage = total((slippage, realised(execution, slipped)))
    half_spread = total(realised(e, -e.half_spread) for e in executions)
    financing = total(e.financing for e in executions)
    conversion = total(e.conversion for e in executions)
    commission = total(-e.commission for e in executions)
    other = total(amount for e in executions for amount in (-e.fee, e.other))
    costs = (half_spread, delay, slippage, financing, conversion, commission, other)
    return CostParts(
        signal=difference(net, total(costs)),
        half_spread=half_spread,
        delay=delay,
        slippage=slippage,
        financing=financing,
        conversion=conversion,
        commission=commission,
        other=other,
    )


def _moves(execution: Execution, link: OrderLink | None) -> tuple[Decimal, Decimal]:
    """Delay (price move from signal to quote) and slippage (quote to fill); a cost is negative."""
    price, rate = execution.price, execution.rate
    if price is None or rate is None:
        return ZERO, ZERO
    if execution.trigger is not None:
        # The broker fills a stop on its own side of the spread, where its price stands too.
        return ZERO, _move(execution, execution.trigger, price, rate)
    if link is None or link.quote_mid is None:
        return ZERO, ZERO
    slippage = total((_move(execution, link.quote_mid, price, rate), execution.half_spread))
    if link.signal_mid is None:
        return ZERO, slippage
    return _move(execution, link.signal_mid, link.quote_mid, rate), slippage


def _move(execution: Execution, start: Decimal, end: Decimal, rate: Decimal) -> Decimal:
    return product(-execution.units, difference(end, start), rate)


def by_trade(executions: Iterable[Execution]) -> Iterator[tuple[int, list[Execution]]]:
    """Executions of each trade, oldest first, by trade id."""
    found: dict[int, list[Execution]] = {}
    for execution in executions:
        found.setdefault(execution.trade_id, []).append(execution)
    for trade_id in sorted(found):
        yield trade_id, sorted(found[trade_id], key=lambda e: (e.transaction_id, e.seq))
