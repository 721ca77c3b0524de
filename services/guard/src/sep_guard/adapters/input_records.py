"""Converts the records that other services write into inputs of a decision."""

from decimal import Decimal, InvalidOperation

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_MS
from sep_kit.store.records import (
    BracketRecord,
    ManifoldRecord,
    SignalParamsRecord,
    SignalRecord,
    WeightsRecord,
)
from sep_kit.store.signals import signal_end_ns

from sep_guard.domain.market import Bracket, Manifold, Signal, SignalParams, Weights


def signal_of(record: SignalRecord, granularity: Granularity) -> Signal:
    """The part of a signal that the guard reads."""
    metrics, bracket = record.metrics, record.bracket
    return Signal(
        ended_ms=signal_end_ns(record.ts_ns, granularity) // NS_PER_MS,
        coherence=metrics.coherence,
        stability=metrics.stability,
        entropy=metrics.entropy,
        rupture=metrics.rupture,
        direction=record.direction,
        bracket=None if bracket is None else _bracket_of(bracket),
        close=Decimal(repr(record.price)),
        sigma_eff=Decimal(repr(record.coeffs.sigma_eff)),
        params=None if record.params is None else _params_of(record.params),
    )


def manifold_of(record: ManifoldRecord) -> Manifold:
    """The time and price of a live manifold; a price that can't be read is None."""
    return Manifold(ts_ms=record.ts_ms, price=_price_of(record.price))


def weights_of(record: WeightsRecord) -> Weights:
    """The allocator's weights as decimals."""
    return Weights(
        ts=record.ts,
        gates_ts=record.gates_ts,
        by_instrument={i: Decimal(repr(w)) for i, w in record.weights.items()},
        held=record.held,
        held_instruments=frozenset(record.held_instruments),
    )


def _price_of(text: str) -> Decimal | None:
    try:
        price = Decimal(text)
    except InvalidOperation:
        return None
    return price if price.is_finite() and price > 0 else None


def _params_of(record: SignalParamsRecord) -> SignalParams:
    return SignalParams(
        c_min=record.c_min,
        min_stability=record.min_stability,
        max_rupture=record.max_rupture,
        max_entropy=record.max_entropy,
        max_spread_bps=Decimal(repr(record.max_spread_bps)),
        entry_cooldown_s=record.entry_cooldown_sec,
        exit_cooldown_s=record.exit_cooldown_sec,
    )


def _bracket_of(record: BracketRecord) -> Bracket:
    return Bracket(
        stop=Decimal(repr(record.stop_distance)),
        take_profit=Decimal(repr(record.take_profit_distance)),
        max_spread=None if record.max_spread is None else Decimal(repr(record.max_spread)),
    )
