"""Domain values to messages of the contract."""

from sep.evaluator.v1 import evaluator_pb2
from sep.market.v1 import market_pb2
from sep_fx.instants import NS_PER_MS

from sep_evaluator.domain.coherence import CoherenceStatus
from sep_evaluator.domain.evaluation import PublishedGate
from sep_evaluator.domain.kernel import WindowFigures
from sep_evaluator.domain.signals import Manifold, Signal
from sep_evaluator.domain.spans import SpanSummary


def coeffs_response(instrument: str, signal: Signal) -> evaluator_pb2.GetManifoldCoeffsResponse:
    """Coefficients of a signal."""
    return evaluator_pb2.GetManifoldCoeffsResponse(
        instrument=instrument,
        ts_ms=signal.ts_ns // NS_PER_MS,
        sigma_eff=signal.figures.sigma_eff,
        metrics=_metrics(signal.figures),
        price=repr(signal.price),
        **{"lambda": signal.figures.hazard},
    )


def status_message(status: CoherenceStatus) -> evaluator_pb2.CoherenceStatus:
    """A coherence status; without a signal it has neither metrics nor checks."""
    return evaluator_pb2.CoherenceStatus(
        instrument=status.instrument,
        metrics=None if status.figures is None else _metrics(status.figures),
        checks=[
            market_pb2.ThresholdCheck(
                name=c.name,
                value=c.value,
                threshold=c.threshold,
                comparison=c.comparison,
                passed=c.passed,
            )
            for c in status.checks
        ],
        passed=status.passed,
        signal_age_seconds=status.signal_age_s,
        manifold_age_seconds=status.manifold_age_s,
        fresh=status.fresh,
    )


def manifold_message(manifold: Manifold) -> market_pb2.Manifold:
    """A live manifold."""
    return market_pb2.Manifold(
        instrument=manifold.instrument,
        ts_ms=manifold.ts_ms,
        price=manifold.price,
        metrics=_metrics(manifold.figures),
        coeffs=_coeffs(manifold.figures),
    )


def gate_message(gate: PublishedGate) -> evaluator_pb2.Gate:
    """A gate with the numbers behind it; the contract's ``eligible`` is the published gate."""
    return evaluator_pb2.Gate(
        instrument=gate.instrument,
        eligible=gate.gate,
        cooldown=gate.cooldown,
        buf=gate.buffer,
        reasons=gate.reasons,
        summary=None if gate.summary is None else _summary(gate.summary),
        floors=evaluator_pb2.Floors(
            min_trades=gate.floors.min_trades, calmar=gate.floors.calmar, pnl=gate.floors.pnl
        ),
        passes=gate.passes,
        fails=gate.fails,
        evaluations_to_flip=gate.to_flip,
    )


def _metrics(figures: WindowFigures) -> market_pb2.Metrics:
    return market_pb2.Metrics(
        coherence=figures.coherence,
        stability=figures.stability,
        entropy=figures.entropy,
        rupture=figures.rupture,
    )


def _coeffs(figures: WindowFigures) -> market_pb2.Coefficients:
    return market_pb2.Coefficients(sigma_eff=figures.sigma_eff, **{"lambda": figures.hazard})


def _summary(summary: SpanSummary) -> evaluator_pb2.SpanSummary:
    return evaluator_pb2.SpanSummary(
        trades=summary.trades,
        win_rate=summary.win_rate,
        pnl_total=summary.pnl_total,
        max_drawdown=summary.max_drawdown,
        calmar=summary.calmar,
    )
