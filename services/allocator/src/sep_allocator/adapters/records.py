"""Stored records to domain values, and back."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from sep_kit.store.records import ChallengeRecord, GatesBlob, SignalRecord, WeightsRecord

from sep_allocator.domain.allocation import (
    NOTHING,
    Allocation,
    Gates,
    HoldReason,
    ManagedUnits,
    StoredWeights,
)
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
    return Window(
        coherence=m.coherence,
        stability=m.stability,
        entropy=m.entropy,
        rupture=m.rupture,
        hazard=record.coeffs.hazard,
    )


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
        held_instruments=list(allocation.retained),
        challenges=[
            ChallengeRecord(challenger=challenger, incumbent=incumbent, evaluations=count)
            for (challenger, incumbent), count in allocation.challenges.items()
        ],
        displaced=list(allocation.displaced),
        switched_ms=allocation.switched_ms,
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
        ts=record.ts,
        gates_ts=record.gates_ts,
        weights=record.weights,
        scores=record.scores,
        held=record.held,
        held_reason=reason,
        retained=tuple(record.held_instruments),
        challenges={(c.challenger, c.incumbent): c.evaluations for c in record.challenges},
        displaced=tuple(record.displaced),
        switched_ms=record.switched_ms,
    )


def stored_weights_of(record: WeightsRecord) -> StoredWeights:
    """The weights of a record, for reports."""
    return StoredWeights(
        ts=record.ts, weights=record.weights, held=record.held, held_reason=record.held_reason
    )


def managed_units_of(fields: Mapping[bytes, bytes]) -> ManagedUnits | None:
    """The guard's units as stored in a HASH by instrument, with ``ts``; None if it is empty.

    Raises:
        ValueError: a field is malformed.
    """
    if not fields:
        return None
    found = {name.decode(): value.decode() for name, value in fields.items()}
    ts = int(found.pop("ts", ""))
    try:
        held = frozenset(i for i, units in found.items() if Decimal(units) != 0)
    except InvalidOperation:
        raise ValueError(f"units are not numbers: {found}") from None
    return ManagedUnits(ts=ts, instruments=held)
