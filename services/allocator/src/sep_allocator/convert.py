"""Records to domain values and back."""

from sep.allocator.v1 import allocator_pb2
from sep_kit.convert import coeffs_message, metrics_message, session_message
from sep_kit.store.records import GatesBlob, SignalRecord, WeightsRecord

from sep_allocator.domain.allocation import NOTHING, Allocation, Gates, HoldReason
from sep_allocator.domain.ranking import Ranked
from sep_allocator.domain.score import Window


def gates_of(blob: GatesBlob) -> Gates:
    """The trusted part of a blob."""
    return Gates(
        blob.ts,
        {i: g == 1 for i, g in blob.gates.items()},
        {i: c == 1 for i, c in blob.cooldowns.items()},
    )


def window_of(signal: SignalRecord) -> Window:
    """What the score needs of a signal."""
    m = signal.metrics
    return Window(m.coherence, m.stability, m.entropy, m.rupture, signal.coeffs.hazard)


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
    """What was allocated before; nothing where nothing was."""
    if record is None:
        return NOTHING
    reason = HoldReason(record.held_reason) if record.held_reason else None
    return Allocation(
        record.ts, record.gates_ts, record.weights, record.scores, record.held, reason
    )


def ranked_message(
    ranked: Ranked, signal: SignalRecord | None, blob: GatesBlob | None, at: int
) -> allocator_pb2.RankedInstrument:
    """One place of the ranking, at an instant in seconds."""
    instrument = ranked.instrument
    message = allocator_pb2.RankedInstrument(
        instrument=instrument,
        score=ranked.score,
        selected=ranked.selected,
        eligible=blob is not None and blob.gates.get(instrument) == 1,
        weight=ranked.weight,
        session=session_message(ranked.session, at),
        gate_reasons=["NO_BLOB"] if blob is None else blob.reasons.get(instrument, []),
    )
    if signal is not None:
        message.metrics.CopyFrom(metrics_message(signal.metrics))
        message.coeffs.CopyFrom(coeffs_message(signal.coeffs))
        if signal.slope_bps is not None:
            message.slope_bps = signal.slope_bps
    return message
