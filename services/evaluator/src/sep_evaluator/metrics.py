"""What the evaluator tells Prometheus."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from sep_evaluator.domain.evaluation import Evaluation


class EvaluatorMetrics:
    """Metrics of section "gates" of the operations reference."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gate = Gauge(
            "sep_rolling_gate",
            "1 for the gate an instrument has now",
            ["instrument", "eligible", "buf"],
            registry=registry,
        )
        self._integrity = Gauge(
            "sep_span_integrity_ok", "1 while all spans come from sound long runs",
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
            "sep_gate_flips_total", "Gates that flipped", ["instrument", "to"], registry=registry
        )
        self.forget()

    def show(self, evaluations: Iterable[Evaluation]) -> None:
        """Show a round of evaluations; the label sets of the round before vanish."""
        self._gate.clear()
        self._calmar.clear()
        sound = True
        for e in evaluations:
            self._gate.labels(e.instrument, str(int(e.gate)), f"{e.buffer:.2f}").set(1)
            sound = sound and not e.integrity
            if e.summary is not None:
                self._calmar.labels(e.instrument).set(e.summary.calmar)
            if e.flipped:
                self._flips.labels(e.instrument, str(int(e.state.eligible))).inc()
        self._integrity.set(sound)

    def show_market(self, is_open: Mapping[str, bool]) -> None:
        """Show which markets are open; any replica may, since all read the same calendar."""
        for instrument, state in is_open.items():
            self._market_open.labels(instrument).set(state)

    def forget(self) -> None:
        """Show nothing: another replica is the one that decides, and 0 would raise an alarm."""
        self._gate.clear()
        self._calmar.clear()
        self._integrity.set(float("nan"))
