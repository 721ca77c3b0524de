"""GuardEvaluator: may this entry pass? Every condition is looked at, every failure listed."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sep_fx.instants import is_fresh

from sep_guard.domain.limits import Controls, EntryLimits
from sep_guard.domain.market import Market, Signal, Weights


class Refusal(StrEnum):
    """Why an entry does not pass."""

    KILL_SWITCH = "KILL_SWITCH"
    READ_ONLY = "READ_ONLY"
    LIVE_TRADING_DISABLED = "LIVE_TRADING_DISABLED"
    COHERENCE_LOW = "COHERENCE_LOW"
    RUPTURE_HIGH = "RUPTURE_HIGH"
    ENTROPY_HIGH = "ENTROPY_HIGH"
    STABILITY_LOW = "STABILITY_LOW"
    SIGNAL_STALE = "SIGNAL_STALE"
    MANIFOLD_STALE = "MANIFOLD_STALE"
    WEIGHTS_STALE = "WEIGHTS_STALE"
    NO_WEIGHT = "NO_WEIGHT"
    PRICE_STALE = "PRICE_STALE"
    SPREAD_WIDE = "SPREAD_WIDE"
    SESSION_CLOSED = "SESSION_CLOSED"
    NEAR_CLOSE = "NEAR_CLOSE"
    NOT_TRADEABLE = "NOT_TRADEABLE"
    MARGIN_GATE = "MARGIN_GATE"
    NO_DIRECTION = "NO_DIRECTION"
    STOP_TOO_CLOSE = "STOP_TOO_CLOSE"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    MANUAL_POSITION = "MANUAL_POSITION"
    BROKER_LINK = "BROKER_LINK"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: what was seen, what is allowed, and the verdict."""

    reason: Refusal
    passed: bool
    observed: str
    allowed: str


_MISSING = "missing"
# No session lasts a week; a market that never closes says so with a time far away.
_NO_CLOSE_S = 7 * 86_400


def check_entry(
    market: Market,
    weights: Weights | None,
    margin_open: bool,
    link_sound: bool,
    controls: Controls,
    limits: EntryLimits,
    adopt_manual: bool,
    now_ms: int,
) -> tuple[Check, ...]:
    """Every condition of an entry. What can't be read does not pass."""
    return (
        *_controls(controls),
        *_metrics(market.signal, limits),
        *_freshness(market, weights, limits, now_ms),
        *_price(market, limits),
        *_session(market, limits, now_ms),
        Check(Refusal.MARGIN_GATE, margin_open, "open" if margin_open else "closed", "open"),
        Check(Refusal.BROKER_LINK, link_sound, "sound" if link_sound else "broken", "sound"),
        *_position(market, adopt_manual),
    )


def failed(checks: tuple[Check, ...]) -> tuple[Refusal, ...]:
    """Reasons of the conditions that did not pass."""
    return tuple(c.reason for c in checks if not c.passed)


def _controls(controls: Controls) -> Iterator[Check]:
    yield _off(Refusal.KILL_SWITCH, controls.kill_switch)
    yield _off(Refusal.READ_ONLY, controls.read_only)
    yield Check(
        Refusal.LIVE_TRADING_DISABLED,
        controls.live_allowed,
        "allowed" if controls.live_allowed else "not allowed",
        "allowed",
    )


def _off(reason: Refusal, on: bool) -> Check:
    return Check(reason, not on, "on" if on else "off", "off")


def _metrics(signal: Signal | None, limits: EntryLimits) -> Iterator[Check]:
    at_least = (
        (Refusal.COHERENCE_LOW, signal.coherence if signal else None, limits.min_coherence),
        (Refusal.STABILITY_LOW, signal.stability if signal else None, limits.min_stability),
    )
    at_most = (
        (Refusal.RUPTURE_HIGH, signal.rupture if signal else None, limits.max_rupture),
        (Refusal.ENTROPY_HIGH, signal.entropy if signal else None, limits.max_entropy),
    )
    for reason, value, limit in at_least:
        yield Check(reason, value is not None and value >= limit, _shown(value), f">= {limit}")
    for reason, value, limit in at_most:
        yield Check(reason, value is not None and value <= limit, _shown(value), f"<= {limit}")


def _freshness(
    market: Market, weights: Weights | None, limits: EntryLimits, now_ms: int
) -> Iterator[Check]:
    signal = market.signal.ended_ms if market.signal else None
    quote = market.quote.ts_ms if market.quote else None
    yield _age(Refusal.SIGNAL_STALE, signal, limits.max_signal_age_s, now_ms)
    yield _age(Refusal.MANIFOLD_STALE, market.manifold_ms, limits.max_manifold_age_s, now_ms)
    yield _age(Refusal.PRICE_STALE, quote, limits.max_manifold_age_s, now_ms)
    yield _age(Refusal.WEIGHTS_STALE, _made(weights, now_ms), limits.max_weights_age_s, now_ms)
    weight = weights.by_instrument.get(market.instrument.name) if weights else None
    yield Check(Refusal.NO_WEIGHT, weight is not None and weight > 0, _shown(weight), "> 0")


def _made(weights: Weights | None, now_ms: int) -> int | None:
    """Weights are as old as the older of themselves and their blob; from the future if one is."""
    if weights is None or weights.gates_ts is None or weights.held:
        return None
    older, newer = sorted((weights.ts, weights.gates_ts))
    return newer if newer > now_ms else older


def _age(reason: Refusal, made_ms: int | None, limit_s: float, now_ms: int) -> Check:
    if made_ms is None:
        return Check(reason, False, _MISSING, f"< {limit_s:g} s")
    age = (now_ms - made_ms) / 1000
    return Check(reason, is_fresh(made_ms, limit_s, now_ms), f"{age:.1f} s", f"< {limit_s:g} s")


def _price(market: Market, limits: EntryLimits) -> Iterator[Check]:
    quote = market.quote
    bracket = market.signal.bracket if market.signal else None
    spread = quote.spread_bps if quote else None
    yield Check(
        Refusal.SPREAD_WIDE,
        spread is not None and 0 <= spread <= limits.max_spread_bps,
        _MISSING if spread is None else f"{spread:.2f} bps",
        f"<= {limits.max_spread_bps} bps",
    )
    tradeable = quote is not None and quote.tradeable and market.margin_per_unit is not None
    yield Check(
        Refusal.NOT_TRADEABLE, tradeable, "tradeable" if tradeable else "not tradeable", "tradeable"
    )
    far_enough = (
        quote is not None
        and bracket is not None
        and (bracket.max_spread is None or quote.ask - quote.bid <= bracket.max_spread)
    )
    widest = "any spread" if bracket is None else f"spread <= {bracket.max_spread}"
    seen = _MISSING if quote is None or bracket is None else f"spread {quote.ask - quote.bid}"
    yield Check(Refusal.STOP_TOO_CLOSE, far_enough, seen, widest)


def _session(market: Market, limits: EntryLimits, now_ms: int) -> Iterator[Check]:
    session = market.session
    yield Check(Refusal.SESSION_CLOSED, session.open, "open" if session.open else "closed", "open")
    left = session.seconds_to_close(now_ms // 1000)
    yield Check(
        Refusal.NEAR_CLOSE,
        not session.near_close(now_ms // 1000, limits.exit_minutes),
        "no close" if left is None or left > _NO_CLOSE_S else f"{left / 60:.1f} min",
        f"> {limits.exit_minutes:g} min",
    )


def _position(market: Market, adopt_manual: bool) -> Iterator[Check]:
    direction = market.signal.direction if market.signal else 0
    yield Check(Refusal.NO_DIRECTION, direction != 0, str(direction), "1 or -1")
    yield Check(
        Refusal.ORDER_UNKNOWN,
        not market.order_unknown,
        "an order of unknown outcome" if market.order_unknown else "none",
        "none",
    )
    manual = market.holding.manual
    yield Check(Refusal.MANUAL_POSITION, adopt_manual or not manual, f"{manual} units", "0 units")


def _shown(value: float | Decimal | None) -> str:
    return _MISSING if value is None else f"{value:.6g}"
