"""GuardEvaluator: the conditions of an entry. All are checked, and every failure is listed.

``CHECKS`` is the one list of them. A new condition that allows or forbids an entry is a
function of the ``EntryCheck`` type, added to the list, with its reason in ``Refusal``. A limit
that can cut an entry's size is a limiter (``entry_limiters.LIMITERS``).
"""

from collections.abc import Iterator
from decimal import Decimal

from sep_fx.freshness import age_of

from sep_guard.domain.account_checks import check_account, check_trades
from sep_guard.domain.checks import Candidate, Check, EntryCheck, Refusal
from sep_guard.domain.cooldowns import check_entry_cooldown
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.margin_gate import margin_gate_open
from sep_guard.domain.market import Market, Weights
from sep_guard.domain.risk.checks import (
    check_exposure,
    check_locks,
    check_reference_price,
    check_risk_state,
)
from sep_guard.domain.target_side import near_week_end
from sep_guard.domain.thresholds import in_force
from sep_guard.domain.view import View

_MISSING = "missing"
# No session lasts a week; a market that never closes reports a close that is further away.
_NO_CLOSE_S = 7 * 86_400


def check_entry(view: View, market: Market, limits: GuardLimits) -> tuple[Check, ...]:
    """Every condition of an entry in one instrument now. What can't be read does not pass."""
    candidate = Candidate(view=view, market=market, limits=limits)
    return tuple(result for check in CHECKS for result in check(candidate))


def check_controls(candidate: Candidate) -> Iterator[Check]:
    """Kill switch, READ_ONLY, and live trading."""
    controls = candidate.view.controls
    yield _off(Refusal.KILL_SWITCH, controls.kill_switch)
    yield _off(Refusal.READ_ONLY, controls.read_only)
    yield Check(
        Refusal.LIVE_TRADING_DISABLED,
        controls.live_allowed,
        "allowed" if controls.live_allowed else "not allowed",
        "allowed",
    )


def check_metrics(candidate: Candidate) -> Iterator[Check]:
    """Coherence, stability, rupture and entropy of the signal."""
    signal = candidate.market.signal
    limits = in_force(candidate.limits.entry, signal)
    at_least = (
        (Refusal.COHERENCE_LOW, signal.coherence if signal else None, limits.min_coherence),
        (Refusal.STABILITY_LOW, signal.stability if signal else None, limits.min_stability),
    )
    at_most = (
        (Refusal.RUPTURE_HIGH, signal.rupture if signal else None, limits.max_rupture),
        (Refusal.ENTROPY_HIGH, signal.entropy if signal else None, limits.max_entropy),
    )
    for reason, value, limit in at_least:
        yield Check(reason, value is not None and value >= limit, _number(value), f">= {limit}")
    for reason, value, limit in at_most:
        yield Check(reason, value is not None and value <= limit, _number(value), f"<= {limit}")


def check_freshness(candidate: Candidate) -> Iterator[Check]:
    """Ages of signal, manifold, quote and weights, and that there is a weight."""
    market, limits, now_ms = candidate.market, candidate.limits.entry, candidate.view.now_ms
    weights = candidate.view.weights
    signal = market.signal.ended_ms if market.signal else None
    quote = market.quote.ts_ms if market.quote else None
    made = _weights_ms(weights, market.instrument.name, now_ms)
    yield _age(Refusal.SIGNAL_STALE, signal, limits.max_signal_age_s, now_ms)
    yield _age(Refusal.MANIFOLD_STALE, market.manifold_ms, limits.max_manifold_age_s, now_ms)
    yield _age(Refusal.PRICE_STALE, quote, limits.max_manifold_age_s, now_ms)
    yield _age(Refusal.WEIGHTS_STALE, made, limits.max_weights_age_s, now_ms)
    weight = weights.by_instrument.get(market.instrument.name) if weights else None
    yield Check(Refusal.NO_WEIGHT, weight is not None and weight > 0, _number(weight), "> 0")


def check_price(candidate: Candidate) -> Iterator[Check]:
    """Spread, tradeability, and the distance of the stop."""
    market = candidate.market
    limits = in_force(candidate.limits.entry, market.signal)
    quote = market.quote
    bracket = market.signal.bracket if market.signal else None
    spread = quote.spread_bps if quote else None
    yield Check(
        Refusal.SPREAD_WIDE,
        spread is not None and 0 <= spread <= limits.max_spread_bps,
        _MISSING if spread is None else f"{spread:.2f} bps",
        f"<= {limits.max_spread_bps} bps",
    )
    obstacle = _not_tradeable(market)
    yield Check(Refusal.NOT_TRADEABLE, obstacle is None, obstacle or "tradeable", "tradeable")
    far_enough = (
        quote is not None
        and bracket is not None
        and (bracket.max_spread is None or quote.ask - quote.bid <= bracket.max_spread)
    )
    widest = "any spread" if bracket is None else f"spread <= {bracket.max_spread}"
    seen = _MISSING if quote is None or bracket is None else f"spread {quote.ask - quote.bid}"
    yield Check(Refusal.STOP_TOO_CLOSE, far_enough, seen, widest)


def check_session(candidate: Candidate) -> Iterator[Check]:
    """An open session that does not close soon."""
    session, limits = candidate.market.session, candidate.limits.entry
    now_s = candidate.view.now_ms // 1000
    yield Check(Refusal.SESSION_CLOSED, session.open, "open" if session.open else "closed", "open")
    left = session.seconds_to_close(now_s)
    yield Check(
        Refusal.NEAR_CLOSE,
        not session.near_close(now_s, limits.exit_minutes)
        and not near_week_end(candidate.market, candidate.view.now_ms, limits),
        "no close" if left is None or left > _NO_CLOSE_S else f"{left / 60:.1f} min",
        f"> {limits.exit_minutes:g} min",
    )


def check_margin_gate(candidate: Candidate) -> Iterator[Check]:
    """The margin gate of the account."""
    is_open = margin_gate_open(candidate.view, candidate.limits.portfolio)
    yield Check(Refusal.MARGIN_GATE, is_open, "open" if is_open else "closed", "open")


def check_broker_link(candidate: Candidate) -> Iterator[Check]:
    """The gateway's connection to the broker, with no transaction missed."""
    sound = candidate.view.link_sound
    yield Check(Refusal.BROKER_LINK, sound, "sound" if sound else "broken", "sound")


def check_position(candidate: Candidate) -> Iterator[Check]:
    """A direction, no order of unknown outcome, and no manual position beside ours."""
    market = candidate.market
    direction = market.signal.direction if market.signal else 0
    yield Check(Refusal.NO_DIRECTION, direction != 0, str(direction), "1 or -1")
    yield Check(
        Refusal.ORDER_UNKNOWN,
        not market.order_unknown,
        "an order of unknown outcome" if market.order_unknown else "none",
        "none",
    )
    holding = market.holding
    adopted = candidate.limits.portfolio.adopt_manual and not holding.manual_hedged
    yield Check(
        Refusal.MANUAL_POSITION,
        adopted or not holding.manual_units,
        f"{holding.manual_units} units on both sides"
        if holding.manual_hedged
        else f"{holding.manual} units",
        "0 units",
    )


CHECKS: tuple[EntryCheck, ...] = (
    check_controls,
    check_metrics,
    check_freshness,
    check_price,
    check_session,
    check_margin_gate,
    check_broker_link,
    check_position,
    check_entry_cooldown,
    check_risk_state,
    check_locks,
    check_reference_price,
    check_exposure,
    check_account,
    check_trades,
)
"""Every condition of an entry, in the order they are recorded and listed."""


def _off(reason: Refusal, on: bool) -> Check:
    return Check(reason, not on, "on" if on else "off", "off")


def _weights_ms(weights: Weights | None, instrument: str, now_ms: int) -> int | None:
    """The older of the times of weights and gates blob; a time in the future if either is one."""
    if weights is None or weights.gates_ts is None or weights.holds(instrument):
        return None
    older, newer = sorted((weights.ts, weights.gates_ts))
    return newer if newer > now_ms else older


def _age(reason: Refusal, made_ms: int | None, limit_s: float, now_ms: int) -> Check:
    age = age_of(made_ms, now_ms, limit_s)
    seen = _MISSING if age.seconds is None else f"{age.seconds:.1f} s"
    return Check(reason, age.fresh, seen, f"< {limit_s:g} s")


def _number(value: float | Decimal | None) -> str:
    return _MISSING if value is None else f"{value:.6g}"


def _not_tradeable(market: Market) -> str | None:
    """Why no entry can be priced or filled; None if it can."""
    if market.quote is None:
        return "no price"
    if not market.quote.tradeable:
        return "halted or closed at the broker"
    if market.margin_per_unit is None:
        return f"no conversion rate from {market.instrument.quote} to the home currency"
    return None
