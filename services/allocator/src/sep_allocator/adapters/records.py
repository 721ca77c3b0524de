"""Stored records to domain values, and back."""

from sep_kit.store.records import GatesBlob, SignalRecord, WeightsRecord

from sep_allocator.domain.allocation import NOTHING, Allocation, Gates, HoldReason, StoredWeights
from sep_allocator.domain.score import Signal, Window


def gates_of(blob: GatesBlob) -> Gates:
    """The gates of a blob."""
    return Gates(
        blob.ts,
        {i: g == 1 for i, g in blob.gates.items()},
        {i: c == 1 for i, c in blob.cooldowns.items()},
        blob.reasons,
    )


def window_of(record: SignalRecord) -> Window:
    """The window of a signal."""
    m = record.metrics
    return Window(m.coherence, m.stability, m.entropy, m.rupture, record.coeffs.hazard)


def signal_of(record: SignalRecord) -> Signal:
    """The part of a signal that the allocator reads."""
    return Signal(
        window=window_of(record), sigma_eff=record.coeffs.sigma_eff, slope_bps=record.slope_bps
    )


def record_of(allocation: Allocation, top_k: int) -> WeightsRecord:
    """The stored form of an allocation."""
    return WeightsRecord(
        ts=allocation.ts,
        gates_ts=allocation.gates_ts,
        weights=dict(allocation.weights),
        scores=dict(allocation.scores),
        top_k=top_k,
        held=allocation.held,
        held_reason=allocation.held_reason or "",
    )


def allocation_of(record: WeightsRecord | None) -> Allocation:
    """The allocation of a record, ``NOTHING`` without a record.

    Raises:
        ValueError: the record's ``held_reason`` is unknown.
    """
    if record is None:
        return NOTHING
    reason = HoldReason(record.held_reason) if record.held_reason else None
    return Allocation(
        record.ts, record.gates_ts, record.weights, record.scores, record.held, reason
    )


def stored_weights_of(record: WeightsRecord) -> StoredWeights:
    """The weights of a record, for reports."""
    return StoredWeights(
        ts=record.ts, weights=record.weights, held=record.held, held_reason=record.held_reason
    )
