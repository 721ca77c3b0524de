"""Domain values to messages of the contract."""

from collections.abc import Mapping, Sequence

from sep.evaluator.v1 import evaluator_pb2
from sep.market.v1 import market_pb2
from sep_fx.instants import NS_PER_MS

from sep_evaluator.domain.coherence import CoherenceStatus
from sep_evaluator.domain.evaluation import PublishedGate
from sep_evaluator.domain.kernel import WindowFigures
from sep_evaluator.domain.parameter_changes import Change, InForce, Wanted
from sep_evaluator.domain.params import StrategyParams, digest_of
from sep_evaluator.domain.signals import Manifold, Signal
from sep_evaluator.domain.spans import SpanSummary


def coeffs_response(
    instrument: str, signal: Signal, history: Sequence[Signal] = ()
) -> evaluator_pb2.GetManifoldCoeffsResponse:
    """Coefficients of a signal, and metrics of earlier ones."""
    return evaluator_pb2.GetManifoldCoeffsResponse(
        instrument=instrument,
        ts_ms=signal.ts_ns // NS_PER_MS,
        sigma_eff=signal.figures.sigma_eff,
        metrics=_metrics(signal.figures),
        price=repr(signal.price),
        history=[
            evaluator_pb2.WindowMetrics(ts_ms=s.ts_ns // NS_PER_MS, metrics=_metrics(s.figures))
            for s in history
        ],
        **{"lambda": signal.figures.hazard},
    )


def status_message(status: CoherenceStatus, parameters: InForce) -> evaluator_pb2.CoherenceStatus:
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
        parameters_digest=parameters.digest,
        parameters_run=parameters.run,
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


def in_force_message(found: InForce) -> evaluator_pb2.ParametersInForce:
    """The parameters of an instrument; a fault in place of values that are invalid."""
    return evaluator_pb2.ParametersInForce(
        instrument=found.instrument,
        values=_values(found.params),
        digest=_digest(found.params),
        fault=found.fault,
        change=None if found.change is None else change_message(found.change),
    )


def change_message(change: Change) -> evaluator_pb2.ParameterChange:
    """A change of parameters."""
    return evaluator_pb2.ParameterChange(
        id=change.id,
        ts_ms=change.ts_ms,
        actor=change.actor,
        reason=change.reason,
        run=change.run,
        forced_by=change.forced_by,
        rolls_back=change.rolls_back,
        changed=[
            evaluator_pb2.ChangedParameters(
                instrument=c.instrument,
                before=_values(c.before),
                after=_values(c.after),
                digest_before=_digest(c.before),
                digest_after=_digest(c.after),
                against=c.against,
            )
            for c in change.changed
        ],
    )


def wanted_of(message: evaluator_pb2.WantedParameters) -> Wanted:
    """The parameters that a request wants in force."""
    return Wanted(
        instrument=message.instrument,
        values=dict(message.values),
        judged=message.judged_to_promote,
        against=tuple(message.against),
        digest_before=message.digest_before if message.HasField("digest_before") else None,
    )


def _values(params: StrategyParams | None) -> Mapping[str, float]:
    return {} if params is None else params.as_dict()


def _digest(params: StrategyParams | None) -> str:
    return "" if params is None else digest_of(params)


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
