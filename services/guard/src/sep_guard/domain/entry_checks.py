"""GuardEvaluator: the conditions of an entry. All are checked, and every failure is listed.

``CHECKS`` is the one list of them. A new condition that allows or forbids an entry is a
function of the ``EntryCheck`` type, added to the list, with its reason in ``Refusal``; one that
is the same for every instrument is a ``ViewCheck``, added to ``VIEW_CHECKS`` as well. A limit
that can cut an entry's size is a limiter (``entry_limiters.LIMITERS``).
"""

from collections.abc import Iterable
from decimal import Decimal
from itertools import chain

from sep_fx.freshness import age_of

from sep_guard.domain.account_checks import check_account, check_trades
from sep_guard.domain.checks import (
    Candidate,
    Check,
    Either,
    EntryCheck,
    Refusal,
    SharedChecks,
    ViewCheck,
    of_view,
)
from sep_guard.domain.cooldowns import check_entry_cooldown
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.margin_gate import margin_gate_open
from sep_guard.domain.market import Market, Weights
from sep_guard.domain.risk.checks import (
    check_currency,
    check_leverage,
    check_locks,
    check_reference_price,
    check_risk_state,
    check_turnover,
)
from sep_guard.domain.target_side import near_week_end
from sep_guard.domain.thresholds import in_force
from sep_guard.domain.view import View

_MISSING = "missing"
# No session lasts a week; a market that never closes reports a close that is further away.
_NO_CLOSE_S = 7 * 86_400

_KILL_SWITCH = Either.of(Refusal.KILL_SWITCH, "off", "on")
_READ_ONLY = Either.of(Refusal.READ_ONLY, "off", "on")
_LIVE = Either.of(Refusal.LIVE_TRADING_DISABLED, "allowed", "not allowed")
_SESSION = Either.of(Refusal.SESSION_CLOSED, "open", "closed")
_MARGIN_GATE = Either.of(Refusal.MARGIN_GATE, "open", "closed")
_LINK = Either.of(Refusal.BROKER_LINK, "sound", "broken")
_NO_MANUAL = Check(Refusal.MANUAL_POSITION, True, "0 units", "0 units")
_ORDER_KNOWN = Either.of(Refusal.ORDER_UNKNOWN, "none", "an order of unknown outcome")


def check_entry(
    view: View, market: Market, limits: GuardLimits, shared: SharedChecks | None = None
) -> tuple[Check, ...]:
    """Every condition of an entry in one instrument now. What can't be read does not pass.

    Args:
        shared: the conditions of the view, where they have been checked already.
    """
    candidate = Candidate(
        view,
        market,
        limits,
        thresholds=in_force(limits.entry, market.signal),
        shared=shared or shared_checks(view, limits),
        mid=market.quote.mid if market.quote else None,
    )
    return tuple(chain.from_iterable([check(candidate) for check in CHECKS]))


def shared_checks(view: View, limits: GuardLimits) -> SharedChecks:
    """The conditions that are the same for every instrument of a view."""
    return {check: check(view, limits) for check in VIEW_CHECKS}


def check_controls(view: View, limits: GuardLimits) -> tuple[Check, ...]:  # noqa: ARG001
    """Kill switch, READ_ONLY, and live trading."""
    controls = view.controls
    return (
        _KILL_SWITCH.check(not controls.kill_switch),
        _READ_ONLY.check(not controls.read_only),
        _LIVE.check(controls.live_allowed),
    )


def check_metrics(candidate: Candidate) -> Iterable[Check]:
    """Coherence, stability, rupture and entropy of the signal."""
    signal, limits = candidate.market.signal, candidate.thresholds
    coherence = stability = rupture = entropy = None
    if signal:
        coherence, stability = signal.coherence, signal.stability
        rupture, entropy = signal.rupture, signal.entropy
    return (
        _at_least(Refusal.COHERENCE_LOW, coherence, limits.min_coherence),
        _at_least(Refusal.STABILITY_LOW, stability, limits.min_stability),
        _at_most(Refusal.RUPTURE_HIGH, rupture, limits.max_rupture),
        _at_most(Refusal.ENTROPY_HIGH, entropy, limits.max_entropy),
    )


def check_freshness(candidate: Candidate) -> Iterable[Check]:
    """Ages of signal, manifold, quote and weights, and that there is a weight."""
    market, limits, now_ms = candidate.market, candidate.limits.entry, candidate.view.now_ms
    weights = candidate.view.weights
    signal = market.signal.ended_ms if market.signal else None
    quote = market.quote.ts_ms if market.quote else None
    made = _weights_ms(weights, market.instrument.name, now_ms)
    weight = weights.by_instrument.get(market.instrument.name) if weights else None
    share = _MISSING if weight is None else f"{weight:.6g}"
    return (
        _age(Refusal.SIGNAL_STALE, signal, limits.max_signal_age_s, now_ms),
        _age(Refusal.MANIFOLD_STALE, market.manifold_ms, limits.max_manifold_age_s, now_ms),
        _age(Refusal.PRICE_STALE, quote, limits.max_manifold_age_s, now_ms),
        _age(Refusal.WEIGHTS_STALE, made, limits.max_weights_age_s, now_ms),
        Check(Refusal.NO_WEIGHT, weight is not None and weight > 0, share, "> 0"),
    )


def check_price(candidate: Candidate) -> Iterable[Check]:
    """Spread, tradeability, and the distance of the stop."""
    market, limits = candidate.market, candidate.thresholds
    quote, mid = market.quote, candidate.mid
    bracket = market.signal.bracket if market.signal else None
    spread = quote.ask - quote.bid if quote else None
    spread_bps = spread / mid * 10_000 if spread is not None and mid else None
    obstacle = _not_tradeable(market)
    far_enough = (
        spread is not None
        and bracket is not None
        and (bracket.max_spread is None or spread <= bracket.max_spread)
    )
    widest = "any spread" if bracket is None else f"spread <= {bracket.max_spread}"
    seen = _MISSING if spread is None or bracket is None else f"spread {spread}"
    return (
        Check(
            Refusal.SPREAD_WIDE,
            spread_bps is not None and 0 <= spread_bps <= limits.max_spread_bps,
            _MISSING if spread_bps is None else f"{spread_bps:.2f} bps",
            f"<= {limits.max_spread_bps} bps",
        ),
        Check(Refusal.NOT_TRADEABLE, obstacle is None, obstacle or "tradeable", "tradeable"),
        Check(Refusal.STOP_TOO_CLOSE, far_enough, seen, widest),
    )


def check_session(candidate: Candidate) -> Iterable[Check]:
    """An open session that does not close soon."""
    session, limits = candidate.market.session, candidate.limits.entry
    now_s = candidate.view.now_ms // 1000
    left = session.seconds_to_close(now_s)
    return (
        _SESSION.check(session.open),
        Check(
            Refusal.NEAR_CLOSE,
            not session.near_close(now_s, limits.exit_minutes)
            and not near_week_end(candidate.market, candidate.view.now_ms, limits),
            "no close" if left is None or left > _NO_CLOSE_S else f"{left / 60:.1f} min",
            f"> {limits.exit_minutes:g} min",
        ),
    )


def check_margin_gate(view: View, limits: GuardLimits) -> tuple[Check, ...]:
    """The margin gate of the account."""
    return (_MARGIN_GATE.check(margin_gate_open(view, limits.portfolio)),)


def check_broker_link(view: View, limits: GuardLimits) -> tuple[Check, ...]:  # noqa: ARG001
    """The gateway's connection to the broker, with no transaction missed."""
    return (_LINK.check(view.link_sound),)


def check_position(candidate: Candidate) -> Iterable[Check]:
    """A direction, no order of unknown outcome, and no manual position beside ours."""
    market = candidate.market
    direction = market.signal.direction if market.signal else 0
    manual = market.holding.manual_units
    return (
        Check(Refusal.NO_DIRECTION, direction != 0, str(direction), "1 or -1"),
        _ORDER_KNOWN.check(not market.order_unknown),
        _manual_position(candidate, manual) if manual else _NO_MANUAL,
    )


def _manual_position(candidate: Candidate, units: Decimal) -> Check:
    holding = candidate.market.holding
    hedged = holding.manual_hedged
    adopted = candidate.limits.portfolio.adopt_manual and not hedged
    seen = f"{units} units on both sides" if hedged else f"{holding.manual} units"
    return Check(Refusal.MANUAL_POSITION, adopted, seen, "0 units")


CHECKS: tuple[EntryCheck, ...] = (
    of_view(check_controls),
    check_metrics,
    check_freshness,
    check_price,
    check_session,
    of_view(check_margin_gate),
    of_view(check_broker_link),
    check_position,
    check_entry_cooldown,
    of_view(check_risk_state),
    check_locks,
    check_reference_price,
    of_view(check_leverage),
    check_currency,
    of_view(check_turnover),
    of_view(check_account),
    check_trades,
)
"""Every condition of an entry, in the order they are recorded and listed."""

VIEW_CHECKS: tuple[ViewCheck, ...] = (
    check_controls,
    check_margin_gate,
    check_broker_link,
    check_risk_state,
    check_leverage,
    check_turnover,
    check_account,
)
"""Those that are made once for all instruments of a view."""


def _at_least(reason: Refusal, value: float | None, limit: float) -> Check:
    seen = _MISSING if value is None else f"{value:.6g}"
    return Check(reason, value is not None and value >= limit, seen, f">= {limit}")


def _at_most(reason: Refusal, value: float | None, limit: float) -> Check:
    seen = _MISSING if value is None else f"{value:.6g}"
    return Check(reason, value is not None and value <= limit, seen, f"<= {limit}")


def _weights_ms(weights: Weights | None, instrument: str, now_ms: int) -> int | None:
    """The older of the times of weights and gates blob; a time in the future if either is one."""
    if weights is None or weights.gates_ts is None or weights.holds(instrument):
        return None
    newer = max(weights.ts, weights.gates_ts)
    return newer if newer > now_ms else min(weights.ts, weights.gates_ts)


def _age(reason: Refusal, made_ms: int | None, limit_s: float, now_ms: int) -> Check:
    age = age_of(made_ms, now_ms, limit_s)
    seen = _MISSING if age.seconds is None else f"{age.seconds:.1f} s"
    return Check(reason, age.fresh, seen, f"< {limit_s:g} s")


def _not_tradeable(market: Market) -> str | None:
    """Why no entry can be priced or filled; None if it can."""
    if market.quote is None:
        return "no price"
    if not market.quote.tradeable:
        return "halted or closed at the broker"
    if not market.has_value:
        return f"no conversion rate from {market.instrument.quote} to the home currency"
    return None
