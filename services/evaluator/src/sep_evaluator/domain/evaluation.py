"""One evaluation of one instrument: gate memory and observation in, gate and reasons out.

There are two separate states. *Eligible* is the memory that hysteresis moves; it outlives a closed
market. The *gate* is what is published: it is open (1) only while the instrument is eligible
and nothing else (cooldown, session, candle age, span integrity) keeps it closed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sep_fx.freshness import Freshness, age_of
from sep_fx.sessions import SessionState

from sep_evaluator.domain.floors import BaseFloors, Floors, FloorsInForce, Sample, next_sample
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
    under,
)
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.spans import SpanSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """Limits of an evaluation.

    ``exit_minutes`` before a session's close the gate closes; candles older than
    ``max_candle_age_s`` seconds close it; ``granularity_s`` is the length of a bar.
    """

    floors: BaseFloors
    exit_minutes: float
    max_candle_age_s: float
    granularity_s: int


@dataclass(frozen=True, slots=True)
class GateMemory:
    """What is stored of an instrument between evaluations: its gate state and its floors."""

    state: GateState
    floors: FloorsInForce


@dataclass(frozen=True, slots=True)
class Observation:
    """An instrument at one moment.

    ``summary`` and ``watermark`` (start of the last bar, seconds) are None before the
    first candle. ``integrity`` lists the faults of the spans. ``params`` is the digest of the
    parameters in force; None while the stored ones are invalid.
    """

    instrument: str
    summary: SpanSummary | None
    watermark: int | None
    integrity: tuple[str, ...]
    session: SessionState
    params: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The result of an evaluation and everything it was derived from.

    ``gate`` is True while the published gate is open. ``state.eligible`` is the hysteresis
    memory; ``eligibility_flipped`` is True when this evaluation changed it.
    """

    instrument: str
    gate: bool
    cooldown: bool
    buffer: float
    reasons: tuple[GateReason, ...]
    state: GateState
    eligibility_flipped: bool
    verdict: Verdict | None
    summary: SpanSummary | None
    floors: Floors
    band: tuple[Distance, ...]
    to_flip: int
    sample: Sample | None
    integrity: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedRun:
    """An evaluation, with the parameters and the slices (by days) of the run behind it.

    While the stored parameters are invalid there are neither. ``judged_by`` is the research run
    that judged the parameters; empty without one.
    """

    evaluation: Evaluation
    params: StrategyParams | None
    spans: Mapping[int, SpanSummary]
    judged_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedGate:
    """A gate as it was last published, with the numbers behind it; ``ts_ms`` is when."""

    instrument: str
    ts_ms: int
    gate: bool
    cooldown: bool
    buffer: float
    reasons: tuple[str, ...]
    summary: SpanSummary | None
    floors: Floors
    passes: int
    fails: int
    to_flip: int


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
    """Evaluate an instrument.

    While its market is closed nothing is counted and the gate is closed. Eligibility outlives
    the close, so an instrument that was eligible on Friday needs no fresh passes on Monday.
    Invalid parameters close the gate, and there is nothing to count: other parameters than the
    stored ones would be judged.

    Args:
        history: samples of the last 30 days under any parameters, oldest first.
        buffer: half width of the hysteresis band, as a share of the floors.
        floors: the floors in force, derived from ``history``.
    """
    params, watermark = observation.params, observation.watermark
    summary = None if params is None else observation.summary
    after = state if params is None else under(state, params)
    verdict, sample = None, None
    band: tuple[Distance, ...] = ()
    if summary is not None and watermark is not None and params is not None:
        band = distances(summary, floors, buffer)
        if observation.session.open and not observation.integrity:
            verdict = judge(band)
            after = step(after, verdict, watermark, now_ms)
            if after.watermark != state.watermark:
                sample = next_sample(
                    history,
                    Sample(
                        ts=now_ms,
                        trades=summary.trades,
                        calmar=summary.calmar,
                        pnl=summary.pnl_total,
                        params=params,
                    ),
                )
    reasons = (
        *((GateReason.BAD_PARAMETERS,) if params is None else ()),
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
        eligibility_flipped=after.eligible != state.eligible,
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
    """Reasons that close the gate of an eligible instrument too."""
    found = []
    now_s = now_ms // 1000
    ended_ms = (
        None
        if observation.watermark is None
        else (observation.watermark + limits.granularity_s) * 1000
    )
    # Candles are counted in whole seconds.
    age = age_of(ended_ms, now_s * 1000, limits.max_candle_age_s, including_limit=True)
    if age.verdict is Freshness.MISSING:
        found.append(GateReason.NO_DATA)
    elif age.verdict is Freshness.STALE:
        found.append(GateReason.CANDLES_STALE)
    if observation.integrity:
        found.append(GateReason.SPAN_INTEGRITY)
    if not observation.session.open:
        found.append(GateReason.SESSION_CLOSED)
    elif observation.session.near_close(now_s, limits.exit_minutes):
        found.append(GateReason.NEAR_CLOSE)
    return tuple(found)
