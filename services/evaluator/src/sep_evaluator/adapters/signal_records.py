"""Signals and live manifolds as stored records, and back."""

from sep_kit.store.records import (
    BracketRecord,
    CoeffsRecord,
    ManifoldRecord,
    MetricsRecord,
    SignalParamsRecord,
    SignalRecord,
)

from sep_evaluator.domain.kernel import WindowFigures
from sep_evaluator.domain.signals import Bracket, Manifold, Signal, SignalParams


def signal_record(signal: Signal) -> SignalRecord:
    """The stored form of a signal."""
    bracket, params = signal.bracket, signal.params
    return SignalRecord.model_validate(
        {
            "ts_ns": signal.ts_ns,
            "price": signal.price,
            "metrics": _metrics(signal.figures),
            "coeffs": _coeffs(signal.figures),
            "slope_bps": signal.slope_bps,
            "direction": signal.direction,
            "bracket": bracket and BracketRecord.model_validate(bracket, from_attributes=True),
            "params": params and SignalParamsRecord.model_validate(params, from_attributes=True),
        }
    )


def signal_of(record: SignalRecord) -> Signal:
    """The signal of a record."""
    bracket = record.bracket
    return Signal(
        ts_ns=record.ts_ns,
        price=record.price,
        figures=_figures(record.metrics, record.coeffs),
        slope_bps=record.slope_bps,
        direction=record.direction,
        bracket=None
        if bracket is None
        else Bracket(
            stop_distance=bracket.stop_distance,
            take_profit_distance=bracket.take_profit_distance,
            max_spread=bracket.max_spread,
        ),
        params=None if record.params is None else SignalParams(**record.params.model_dump()),
    )


def manifold_record(manifold: Manifold) -> ManifoldRecord:
    """The stored form of a live manifold."""
    return ManifoldRecord(
        instrument=manifold.instrument,
        ts_ms=manifold.ts_ms,
        price=manifold.price,
        metrics=_metrics(manifold.figures),
        coeffs=_coeffs(manifold.figures),
    )


def manifold_of(record: ManifoldRecord) -> Manifold:
    """The live manifold of a record."""
    return Manifold(
        instrument=record.instrument,
        ts_ms=record.ts_ms,
        price=record.price,
        figures=_figures(record.metrics, record.coeffs),
    )


def _metrics(figures: WindowFigures) -> MetricsRecord:
    return MetricsRecord.model_validate(figures, from_attributes=True)


def _coeffs(figures: WindowFigures) -> CoeffsRecord:
    return CoeffsRecord.model_validate({"sigma_eff": figures.sigma_eff, "lambda": figures.hazard})


def _figures(metrics: MetricsRecord, coeffs: CoeffsRecord) -> WindowFigures:
    return WindowFigures(
        coherence=metrics.coherence,
        stability=metrics.stability,
        rupture=metrics.rupture,
        entropy=metrics.entropy,
        hazard=coeffs.hazard,
        sigma_eff=coeffs.sigma_eff,
    )
