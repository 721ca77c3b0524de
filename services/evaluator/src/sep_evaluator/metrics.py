"""Prometheus metrics of the evaluator."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from sep_evaluator.domain.evaluation import Evaluation


class EvaluatorMetrics:
    """The gate metrics described in the operations reference."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gate = Gauge(
            "sep_rolling_gate",
            "1 for the label set of the gate that is published now",
            ["instrument", "eligible", "buf"],
            registry=registry,
        )
        self._integrity = Gauge(
            "sep_span_integrity_ok", "1 while the spans of all instruments are consistent",
            registry=registry,
        )  # fmt: skip
        self._calmar = Gauge(
            "sep_bt_calmar", "Calmar ratio of the evaluated slice", ["instrument"],
            registry=registry,
        )  # fmt: skip
        self._market_open = Gauge(
            "sep_market_open", "1 while the instrument's session is open", ["instrument"],
            registry=registry,
        )  # fmt: skip
        self._flips = Counter(
            "sep_gate_flips_total",
            "Changes of eligibility (hysteresis), by the new state",
            ["instrument", "to"],
            registry=registry,
        )
        self.forget()

    def show(self, evaluations: Iterable[Evaluation]) -> None:
        """Set the metrics of one round of evaluations and drop the label sets of the last round."""
        self._gate.clear()
        self._calmar.clear()
        consistent = True
        for e in evaluations:
            self._gate.labels(e.instrument, str(int(e.gate)), f"{e.buffer:.2f}").set(1)
            consistent = consistent and not e.integrity
            if e.summary is not None:
                self._calmar.labels(e.instrument).set(e.summary.calmar)
            if e.eligibility_flipped:
                self._flips.labels(e.instrument, str(int(e.state.eligible))).inc()
        self._integrity.set(consistent)

    def show_market(self, is_open: Mapping[str, bool]) -> None:
        """Set which markets are open; every replica does, since all read the same calendar."""
        for instrument, state in is_open.items():
            self._market_open.labels(instrument).set(state)

    def forget(self) -> None:
        """Drop the metrics on a replica that is not the writer; a 0 would raise an alert."""
        self._gate.clear()
        self._calmar.clear()
        self._integrity.set(float("nan"))
