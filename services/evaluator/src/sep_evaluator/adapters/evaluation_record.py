"""``bt:rolling:summary:{instrument}``: the last evaluation, for operators and for ListGates."""

from typing import Any

from sep_kit.store.documents import Document

from sep_evaluator.domain.evaluation import Evaluation
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.spans import SpanSummary


class SummaryRecord(Document):
    """Figures of one slice."""

    trades: int
    wins: int
    win_rate: float
    pnl_total: float
    max_drawdown: float
    calmar: float

    @classmethod
    def of(cls, summary: SpanSummary) -> "SummaryRecord":
        """The record of a slice."""
        return cls.model_validate(summary, from_attributes=True)


class FloorsRecord(Document):
    """Floors in force."""

    min_trades: float
    calmar: float
    pnl: float


class DistanceRecord(Document):
    """A metric beside its hysteresis band."""

    metric: str
    value: float
    passes_at: float
    fails_below: float


class EvaluationRecord(Document):
    """The document; ``gates`` holds the floors, ``spans`` the slices by days, ``ts`` is in ms."""

    ts: int
    params: dict[str, Any]
    summary: SummaryRecord | None
    gates: FloorsRecord
    eligible: bool
    reasons: list[str]
    spans: dict[str, SummaryRecord]
    cooldown: bool
    buf: float
    passes: int
    fails: int
    misses: int
    to_flip: int
    band: list[DistanceRecord]
    integrity: list[str]
    watermark: int | None

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        params: StrategyParams,
        spans: dict[int, SpanSummary],
        ts: int,
    ) -> "EvaluationRecord":
        """The record of an evaluation."""
        state = evaluation.state
        return cls(
            ts=ts,
            params=params.as_dict(),
            summary=SummaryRecord.of(evaluation.summary) if evaluation.summary else None,
            gates=FloorsRecord.model_validate(evaluation.floors, from_attributes=True),
            eligible=evaluation.gate,
            reasons=list(evaluation.reasons),
            spans={str(days): SummaryRecord.of(s) for days, s in spans.items()},
            cooldown=evaluation.cooldown,
            buf=evaluation.buffer,
            passes=state.passes,
            fails=state.fails,
            misses=state.misses,
            to_flip=evaluation.to_flip,
            band=[DistanceRecord.model_validate(d, from_attributes=True) for d in evaluation.band],
            integrity=list(evaluation.integrity),
            watermark=state.watermark,
        )
