"""Domain values to messages of the contract."""

from sep.allocator.v1 import allocator_pb2
from sep.market.v1 import market_pb2
from sep_kit.convert import session_message

from sep_allocator.domain.allocation import Gates
from sep_allocator.domain.ranking import Ranked
from sep_allocator.domain.score import Signal


def ranked_message(
    ranked: Ranked, signal: Signal | None, gates: Gates | None, at: int
) -> allocator_pb2.RankedInstrument:
    """One instrument of the ranking, at an instant in seconds.

    The contract's ``eligible`` is the published gate: True while it is open.
    """
    instrument = ranked.instrument
    message = allocator_pb2.RankedInstrument(
        instrument=instrument,
        score=ranked.score,
        selected=ranked.selected,
        eligible=gates is not None and gates.gates.get(instrument, False),
        weight=ranked.weight,
        session=session_message(ranked.session, at),
        gate_reasons=["NO_BLOB"] if gates is None else gates.reasons.get(instrument, ()),
    )
    if signal is not None:
        window = signal.window
        message.metrics.CopyFrom(
            market_pb2.Metrics(
                coherence=window.coherence,
                stability=window.stability,
                entropy=window.entropy,
                rupture=window.rupture,
            )
        )
        message.coeffs.CopyFrom(
            market_pb2.Coefficients(sigma_eff=signal.sigma_eff, **{"lambda": window.hazard})
        )
        if signal.slope_bps is not None:
            message.slope_bps = signal.slope_bps
    return message
