"""``bt:rolling:summary:{instrument}``: the last evaluation, read by operators and ListGates.

The field names are public. ``eligible`` is the published gate here, ``gates`` the floors.
"""

from typing import Any

from sep_kit.store.documents import Document

from sep_evaluator.domain.evaluation import EvaluatedRun, PublishedGate
from sep_evaluator.domain.floors import Floors
from sep_evaluator.domain.params import digest_of
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

    def summary(self) -> SpanSummary:
        """The slice of this record."""
        return SpanSummary(
            trades=self.trades,
            wins=self.wins,
            win_rate=self.win_rate,
            pnl_total=self.pnl_total,
            max_drawdown=self.max_drawdown,
            calmar=self.calmar,
        )


class FloorsRecord(Document):
    """Floors in force: number of trades, Calmar ratio, sum of returns."""

    min_trades: float
    calmar: float
    pnl: float


class DistanceRecord(Document):
    """A metric with the edges of its hysteresis band."""

    metric: str
    value: float
    passes_at: float
    fails_below: float


class EvaluationRecord(Document):
    """The document. ``spans`` holds the slices by days, ``buf`` the buffer; ``ts`` is in ms.

    ``params`` is empty and ``params_digest`` None while the stored parameters are invalid.
    """

    ts: int
    params: dict[str, Any]
    params_digest: str | None = None
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
    def of(cls, evaluated: EvaluatedRun, ts: int) -> "EvaluationRecord":
        """The record of an evaluation."""
        evaluation = evaluated.evaluation
        state = evaluation.state
        return cls(
            ts=ts,
            params=evaluated.params.as_dict() if evaluated.params else {},
            params_digest=digest_of(evaluated.params) if evaluated.params else None,
            summary=SummaryRecord.of(evaluation.summary) if evaluation.summary else None,
            gates=FloorsRecord.model_validate(evaluation.floors, from_attributes=True),
            eligible=evaluation.gate,
            reasons=list(evaluation.reasons),
            spans={str(days): SummaryRecord.of(s) for days, s in evaluated.spans.items()},
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

    def published_gate(self, instrument: str) -> PublishedGate:
        """The gate of this record, with the numbers behind it."""
        return PublishedGate(
            instrument=instrument,
            ts_ms=self.ts,
            gate=self.eligible,
            cooldown=self.cooldown,
            buffer=self.buf,
            reasons=tuple(self.reasons),
            summary=None if self.summary is None else self.summary.summary(),
            floors=Floors(
                min_trades=self.gates.min_trades, calmar=self.gates.calmar, pnl=self.gates.pnl
            ),
            passes=self.passes,
            fails=self.fails,
            to_flip=self.to_flip,
        )
