"""Records to messages of the contract."""

from sep.evaluator.v1 import evaluator_pb2
from sep.market.v1 import market_pb2
from sep_fx.instants import NS_PER_MS
from sep_kit.convert import coeffs_message, metrics_message
from sep_kit.store.records import ManifoldRecord, SignalRecord

from sep_evaluator.adapters.evaluation_record import EvaluationRecord, SummaryRecord


def coeffs_response(
    instrument: str, signal: SignalRecord
) -> evaluator_pb2.GetManifoldCoeffsResponse:
    """Coefficients of a signal."""
    return evaluator_pb2.GetManifoldCoeffsResponse(
        instrument=instrument,
        ts_ms=signal.ts_ns // NS_PER_MS,
        sigma_eff=signal.coeffs.sigma_eff,
        metrics=metrics_message(signal.metrics),
        price=repr(signal.price),
        **{"lambda": signal.coeffs.hazard},
    )


def manifold_message(record: ManifoldRecord) -> market_pb2.Manifold:
    """A live manifold."""
    return market_pb2.Manifold(
        instrument=record.instrument,
        ts_ms=record.ts_ms,
        price=record.price,
        metrics=metrics_message(record.metrics),
        coeffs=coeffs_message(record.coeffs),
    )


def gate_message(instrument: str, record: EvaluationRecord) -> evaluator_pb2.Gate:
    """A gate and the numbers behind it."""
    return evaluator_pb2.Gate(
        instrument=instrument,
        eligible=record.eligible,
        cooldown=record.cooldown,
        buf=record.buf,
        reasons=record.reasons,
        summary=None if record.summary is None else _summary(record.summary),
        floors=evaluator_pb2.Floors(
            min_trades=record.gates.min_trades, calmar=record.gates.calmar, pnl=record.gates.pnl
        ),
        passes=record.passes,
        fails=record.fails,
        evaluations_to_flip=record.to_flip,
    )


def _summary(record: SummaryRecord) -> evaluator_pb2.SpanSummary:
    return evaluator_pb2.SpanSummary(
        trades=record.trades,
        win_rate=record.win_rate,
        pnl_total=record.pnl_total,
        max_drawdown=record.max_drawdown,
        calmar=record.calmar,
    )
