"""Stops of the stack's own trades: lost and moved ones, and what is done about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sep_guard.domain.market import Market, Trade
from sep_guard.domain.sizing import sign

ATTEMPTS = 2
"""How often a stop is tried to be given back before the trade is closed."""


class StopFault(StrEnum):
    """What is wrong with the stop of a trade."""

    MISSING = "STOP_MISSING"
    MOVED = "STOP_MOVED"


class StopStep(StrEnum):
    """What is done about it."""

    SET = "STOP_SET"
    CLOSE = "STOP_CLOSE"
    WAIT = "STOP_WAIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRepair:
    """One trade whose stop is not as decided.

    ``price`` is the stop to set; None where none is known, or where it is passed already.
    """

    instrument: str
    trade: Trade
    fault: StopFault
    step: StopStep
    price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedStop:
    """The stop that an entry was sent with; ``sent_ms`` is when it was decided."""

    price: Decimal
    sent_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """A stop to set; ``client_order_id`` names its decision, ``decided_ms`` is when it was made."""

    trade_id: str
    price: Decimal
    client_order_id: str
    decided_ms: int
    fencing_token: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSet:
    """Whether the stop is in place, and why it is not."""

    in_place: bool
    reason: str = ""
    last_id: int = 0


def fault_of(trade: Trade) -> StopFault | None:
    """What is wrong with a trade's stop; None for a sound one, and for a trade opened by hand.

    A stop that is nearer than the decided one is left: it risks less.
    """
    if not trade.own:
        return None
    if trade.stop_loss is None:
        return StopFault.MISSING
    if trade.decided_stop is None:
        return None
    further = (trade.decided_stop - trade.stop_loss) * sign(trade.units)
    return StopFault.MOVED if further > 0 else None


def plan_repairs(market: Market, failures: Mapping[str, int]) -> tuple[StopRepair, ...]:
    """A repair for each trade whose stop is not as decided.

    Args:
        failures: how often in a row a repair has failed, by trade id.
    """
    return tuple(
        _repair(market, trade, fault, failures.get(trade.id, 0))
        for trade in market.holding.trades
        if (fault := fault_of(trade)) is not None
    )


def _repair(market: Market, trade: Trade, fault: StopFault, failed: int) -> StopRepair:
    price = trade.decided_stop or _from_signal(market, trade)
    return StopRepair(
        instrument=trade.instrument,
        trade=trade,
        fault=fault,
        step=_step(market, trade, price, failed),
        price=price,
    )


def _step(market: Market, trade: Trade, price: Decimal | None, failed: int) -> StopStep:
    quote = market.quote
    if quote is None or not quote.tradeable:
        # The broker carries out neither while the instrument is halted.
        return StopStep.WAIT
    if failed >= ATTEMPTS:
        return StopStep.CLOSE
    if price is None:
        return StopStep.WAIT
    side = sign(trade.units)
    market_price = quote.bid if side > 0 else quote.ask
    passed = price <= 0 or (market_price - price) * side <= 0
    return StopStep.CLOSE if passed else StopStep.SET


def _from_signal(market: Market, trade: Trade) -> Decimal | None:
    """A stop at the current signal's distance from the market."""
    quote, signal = market.quote, market.signal
    if quote is None or signal is None or signal.bracket is None:
        return None
    side = sign(trade.units)
    entry = quote.bid if side > 0 else quote.ask
    return market.instrument.round_price(entry - side * signal.bracket.stop)


def obsolete(
    decided: Mapping[str, DecidedStop], open_client_ids: frozenset[str], now_ms: int
) -> tuple[str, ...]:
    """Client order ids whose stop need not be remembered any longer: no trade has them."""
    return tuple(
        client_id
        for client_id, stop in decided.items()
        if client_id not in open_client_ids and now_ms - stop.sent_ms > _REMEMBERED_MS
    )


# An order whose outcome is unknown can still turn out to be a trade.
_REMEMBERED_MS = 3_600_000
