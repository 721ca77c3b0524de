"""PortfolioManager: one reconcile cycle as a pure plan, reductions before increases."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from sep_guard.domain.budget import Budget, Room, budget_of, settled_base
from sep_guard.domain.entry import Check, Refusal, check_entry, failed
from sep_guard.domain.limits import Controls, GuardLimits, PortfolioLimits
from sep_guard.domain.margin_gate import margin_gate, utilisation
from sep_guard.domain.market import ZERO, Account, Market, Weights
from sep_guard.domain.sizing import Size, SizeReason, increase, reduction
from sep_guard.domain.strategy import Cause, stance


class Kind(StrEnum):
    """What is done about an instrument."""

    HOLD = "HOLD"
    ENTRY = "ENTRY"
    REDUCTION = "REDUCTION"
    REFUSAL = "REFUSAL"
    MANUAL = "MANUAL"


@dataclass(frozen=True, slots=True)
class View:
    """All that a cycle decides on, read before it decides."""

    account: Account
    markets: Mapping[str, Market]
    weights: Weights | None
    margin_was_open: bool
    controls: Controls
    now_ms: int
    # The gateway reaches the broker, and has missed none of its transactions.
    link_sound: bool


@dataclass(frozen=True, slots=True)
class Brackets:
    """Prices that go with an entry."""

    stop_loss: Decimal
    take_profit: Decimal
    price_bound: Decimal


_NO_ROOM = Room(ZERO, ZERO)


@dataclass(frozen=True, slots=True)
class Action:
    """A decision on one instrument. Units are signed; ``margin`` is what the order takes, or
    frees below 0, in home currency; ``room`` what the portfolio left to it."""

    instrument: str
    kind: Kind
    current: Decimal
    target: Decimal
    order: Decimal
    reasons: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    brackets: Brackets | None = None
    margin: Decimal = ZERO
    room: Room = _NO_ROOM


@dataclass(frozen=True, slots=True)
class Plan:
    """A cycle's decisions in the order they are carried out: reductions first."""

    actions: tuple[Action, ...]
    budget: Budget
    margin_open: bool
    utilisation: Decimal


def plan_cycle(view: View, limits: GuardLimits) -> Plan:
    """Decide on every instrument.

    No plan takes the margin in use past the budget's ceiling, an instrument past its
    cap, or growth past a ramp step; margin that reductions will free is not counted
    on before the broker has freed it.
    """
    used = utilisation(view.account)
    portfolio = limits.portfolio
    is_open = margin_gate(view.margin_was_open, used, portfolio.margin_low, portfolio.margin_high)
    budget = budget_of(view.account, portfolio)
    headroom = max(ZERO, budget.ceiling - view.account.margin_used)
    base = _settled_base(view, portfolio)
    reductions: list[Action] = []
    others: list[Action] = []
    for name in _by_weight(view):
        action = decide(view, view.markets[name], limits, Room(headroom, base))
        headroom -= max(ZERO, action.margin)
        (reductions if action.kind is Kind.REDUCTION else others).append(action)
    return Plan((*reductions, *others), budget, is_open, used)


def decide(view: View, market: Market, limits: GuardLimits, room: Room) -> Action:
    """Decide on one instrument.

    Args:
        room: what the portfolio leaves after the entries decided before this one.
    """
    return replace(_decide(view, market, limits, room), room=room)


def readiness(view: View, market: Market, limits: GuardLimits) -> tuple[Check, ...]:
    """Every condition of an entry in one instrument, as a cycle would check it now."""
    portfolio = limits.portfolio
    is_open = margin_gate(
        view.margin_was_open, utilisation(view.account), portfolio.margin_low, portfolio.margin_high
    )
    return check_entry(
        market,
        view.weights,
        is_open,
        view.link_sound,
        view.controls,
        limits.entry,
        portfolio.adopt_manual,
        view.now_ms,
    )


def _by_weight(view: View) -> list[str]:
    weights = view.weights.by_instrument if view.weights else {}
    return sorted(view.markets, key=lambda i: (-weights.get(i, ZERO), i))


def _decide(  # noqa: PLR0911 - one return a case, in the order they are asked
    view: View, market: Market, limits: GuardLimits, room: Room
) -> Action:
    budget = budget_of(view.account, limits.portfolio)
    name, holding = market.instrument.name, market.holding
    current = _current(market, limits.portfolio)
    side = (current > 0) - (current < 0)
    wanted = stance(market, view.weights, side, limits.entry, view.now_ms)
    if side and wanted.side == 0:
        size = reduction(market.instrument, current, ZERO, ZERO)
        return _reduce(view, market, current, size, wanted.cause)
    weight = view.weights.by_instrument.get(name, ZERO) if view.weights else ZERO
    per_unit = market.margin_per_unit
    if not side and not weight and holding.manual and not limits.portfolio.adopt_manual:
        reasons = _why_manual(holding.manual * (per_unit or ZERO), budget)
        return Action(name, Kind.MANUAL, holding.manual, ZERO, ZERO, reasons)
    if not weight:
        return Action(name, Kind.HOLD, current, current, ZERO, (Refusal.NO_WEIGHT,))
    if not per_unit:
        # Nothing to size with: a position is kept as it is, and flat stays flat.
        if side:
            return Action(name, Kind.HOLD, current, current, ZERO, (Refusal.NOT_TRADEABLE,))
        checks = readiness(view, market, limits)
        return Action(name, Kind.REFUSAL, current, current, ZERO, failed(checks), checks)
    share = _share(weight, limits.portfolio)
    target = wanted.side * market.instrument.round_units(share * room.base / per_unit)
    if side and abs(target) < abs(current):
        return _reduce(
            view,
            market,
            current,
            reduction(market.instrument, current, target, limits.portfolio.rebalance_band),
            Cause.REBALANCE,
        )
    size = increase(
        market.instrument,
        current,
        target,
        per_unit,
        budget.ramp_step,
        min(room.headroom, budget.per_instrument - abs(current) * per_unit),
        limits.portfolio.rebalance_band,
    )
    if side and not size.order:
        return Action(name, Kind.HOLD, current, target, ZERO, size.reasons)
    checks = readiness(view, market, limits)
    refused = failed(checks)
    if refused:
        return Action(name, Kind.REFUSAL, current, target, ZERO, refused, checks)
    if not size.order:
        return Action(name, Kind.HOLD, current, target, ZERO, size.reasons, checks)
    return Action(
        name,
        Kind.ENTRY,
        current,
        target,
        size.order,
        (Cause.REBALANCE if side else wanted.cause, *size.reasons),
        checks,
        _brackets(market, wanted.side, limits.entry.max_spread_bps),
        size.growth,
    )


def _settled_base(view: View, limits: PortfolioLimits) -> Decimal:
    """What targets are shares of: the same before, while and after positions are filled.

    A position that has lost its weight is on its way out, unless the weights are held.
    """
    held = total = ZERO
    weights = view.weights
    if weights is None:
        return settled_base(view.account, held, total)
    for name, market in view.markets.items():
        per_unit = market.margin_per_unit
        weight = weights.by_instrument.get(name, ZERO)
        if per_unit and (weight or not weights.held):
            held += abs(_current(market, limits)) * per_unit
            total += _share(weight, limits)
    return settled_base(view.account, held, total)


def _current(market: Market, limits: PortfolioLimits) -> Decimal:
    """Signed units that this stack answers for."""
    holding = market.holding
    return holding.managed + holding.manual if limits.adopt_manual else holding.managed


def _share(weight: Decimal, limits: PortfolioLimits) -> Decimal:
    """A weight within the instrument's cap, as a share of margin available."""
    pct = limits.target_pct
    return min(weight, pct / limits.top_k, pct * limits.max_per_position_pct)


def _why_manual(margin: Decimal, budget: Budget) -> tuple[str, ...]:
    if abs(margin) > budget.per_instrument:
        return Refusal.MANUAL_POSITION, SizeReason.OVER_CAP
    return (Refusal.MANUAL_POSITION,)


def _reduce(view: View, market: Market, current: Decimal, size: Size, cause: Cause) -> Action:
    name = market.instrument.name
    if not size.order:
        return Action(name, Kind.HOLD, current, size.target, ZERO, size.reasons)
    if view.controls.read_only:
        reasons = (Refusal.READ_ONLY, cause)
        return Action(name, Kind.REFUSAL, current, size.target, ZERO, reasons)
    freed = abs(size.order) * (market.margin_per_unit or ZERO)
    return Action(
        name, Kind.REDUCTION, current, size.target, size.order, (cause,), margin=ZERO - freed
    )


def _brackets(market: Market, side: int, max_spread_bps: Decimal) -> Brackets | None:
    quote, signal = market.quote, market.signal
    if quote is None or signal is None or signal.bracket is None:
        return None
    entry = quote.ask if side > 0 else quote.bid
    round_price = market.instrument.round_price
    return Brackets(
        stop_loss=round_price(entry - side * signal.bracket.stop),
        take_profit=round_price(entry + side * signal.bracket.take_profit),
        # A fill further away than the widest spread allowed is no fill we asked for.
        price_bound=round_price(entry + side * quote.mid * max_spread_bps / 10_000),
    )
