"""Converts the records that other services write into inputs of a decision."""

from decimal import Decimal

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_MS
from sep_kit.store.records import BracketRecord, SignalRecord, WeightsRecord
from sep_kit.store.signals import signal_end_ns

from sep_guard.domain.market import Bracket, Signal, Weights


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
    )


def weights_of(record: WeightsRecord) -> Weights:
    """The allocator's weights as decimals."""
    return Weights(
        ts=record.ts,
        gates_ts=record.gates_ts,
        by_instrument={i: Decimal(repr(w)) for i, w in record.weights.items()},
        held=record.held,
    )


def _bracket_of(record: BracketRecord) -> Bracket:
    return Bracket(
        stop=Decimal(repr(record.stop_distance)),
        take_profit=Decimal(repr(record.take_profit_distance)),
        max_spread=None if record.max_spread is None else Decimal(repr(record.max_spread)),
    )
