"""One evaluation of one instrument: memory and observation in, gate and reasons out."""

from collections.abc import Sequence
from dataclasses import dataclass

from sep_fx.sessions import SessionState

from sep_evaluator.domain.floors import BaseFloors, Floors, Sample, next_sample
from sep_evaluator.domain.gates import (
    Distance,
    GateReason,
    GateState,
    Verdict,
    distances,
    evaluations_to_flip,
    hysteresis_reasons,
    judge,
    step,
)
from sep_evaluator.domain.spans import SpanSummary


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What an evaluation is held against."""

    floors: BaseFloors
    exit_minutes: float
    max_candle_age_s: float
    granularity_s: int


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of an instrument at one moment.

    ``summary`` and ``watermark`` (start of the last bar, seconds) are None before the
    first candle; ``integrity`` lists what breaks the spans.
    """

    instrument: str
    summary: SpanSummary | None
    watermark: int | None
    integrity: tuple[str, ...]
    session: SessionState


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The decision and everything it rests on."""

    instrument: str
    gate: bool
    cooldown: bool
    buffer: float
    reasons: tuple[GateReason, ...]
    state: GateState
    flipped: bool
    verdict: Verdict | None
    summary: SpanSummary | None
    floors: Floors
    band: tuple[Distance, ...]
    to_flip: int
    sample: Sample | None
    integrity: tuple[str, ...]


def evaluate(
    state: GateState,
    history: Sequence[Sample],
    observation: Observation,
    limits: GateLimits,
    buffer: float,
    now_ms: int,
    *,
    floors: Floors,
) -> Evaluation:
    """Judge an instrument.

    While its market is closed it is skipped: nothing counts and the gate is 0. The
    memory outlives a close, so an instrument that was eligible on Friday needs no
    fresh passes on Monday.

    Args:
        floors: those of the history.
    """
    summary, watermark = observation.summary, observation.watermark
    after, verdict, sample = state, None, None
    band: tuple[Distance, ...] = ()
    if summary is not None and watermark is not None:
        band = distances(summary, floors, buffer)
        if observation.session.open and not observation.integrity:
            verdict = judge(band)
            after = step(state, verdict, watermark, now_ms)
            if after.watermark != state.watermark:
                sample = next_sample(
                    history, Sample(now_ms, summary.trades, summary.calmar, summary.pnl_total)
                )
    reasons = (
        *hysteresis_reasons(after, band, now_ms),
        *_circumstances(observation, limits, now_ms),
    )
    return Evaluation(
        instrument=observation.instrument,
        gate=not reasons,
        cooldown=after.cooling(now_ms),
        buffer=buffer,
        reasons=reasons,
        state=after,
        flipped=after.eligible != state.eligible,
        verdict=verdict,
        summary=summary,
        floors=floors,
        band=band,
        to_flip=evaluations_to_flip(after),
        sample=sample,
        integrity=observation.integrity,
    )


def _circumstances(
    observation: Observation, limits: GateLimits, now_ms: int
) -> tuple[GateReason, ...]:
    """What keeps the gate closed whatever the memory says."""
    found = []
    now_s = now_ms // 1000
    if observation.watermark is None:
        found.append(GateReason.NO_DATA)
    elif now_s - (observation.watermark + limits.granularity_s) > limits.max_candle_age_s:
        found.append(GateReason.CANDLES_STALE)
    if observation.integrity:
        found.append(GateReason.SPAN_INTEGRITY)
    if not observation.session.open:
        found.append(GateReason.SESSION_CLOSED)
    elif observation.session.near_close(now_s, limits.exit_minutes):
        found.append(GateReason.NEAR_CLOSE)
    return tuple(found)
