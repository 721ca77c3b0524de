"""The evaluator of a replay: gates and signals of every instrument of the tape."""

from collections.abc import Mapping

from sep_allocator.domain.allocation import Gates
from sep_allocator.domain.score import Window
from sep_evaluator.adapters.signal_records import signal_record
from sep_evaluator.application.buffers import Buffers
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.backtest_ahead import AheadRun
from sep_evaluator.domain.costs import NO_COST_TABLE, CostTable, digest_with_costs
from sep_evaluator.domain.evaluation import Evaluation, Observation, evaluate
from sep_evaluator.domain.floors import FloorsInForce
from sep_evaluator.domain.gates import GateState
from sep_evaluator.domain.kernel import FIRST_WINDOW
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.signals import newest_signals
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.bars import Bars
from sep_fx.sessions import SessionCalendar, SessionState
from sep_kit.store.records import SignalRecord

from sep_replay.journal import Journal, Topic
from sep_replay.tape import Tape
from sep_replay.trading_hours import TradingHours


class EvaluationStage:
    """Evaluates every instrument, and records gates whose verdict changed.

    Args:
        params: by instrument, as promoted; the defaults where there are none.
        open_gates: publish every gate as open, whatever the evaluation says.
        costs: that the backtests of the gates pay beside the spread.
    """

    def __init__(
        self,
        tape: Tape,
        settings: EvaluatorSettings,
        calendar: SessionCalendar,
        journal: Journal,
        params: Mapping[str, StrategyParams],
        *,
        open_gates: bool = False,
        costs: CostTable = NO_COST_TABLE,
    ) -> None:
        self._bars = tape.bars
        self._costs = costs
        self._params = params
        self._open_gates = open_gates
        self._signals: dict[str, tuple[int | None, SignalRecord | None]] = {}
        self.granularity = tape.granularity
        self.instruments = tape.instruments
        self.evaluations: dict[str, Evaluation] = {}
        self._settings = settings
        self._journal = journal
        self._hours = {i: TradingHours(calendar, i) for i in tape.instruments}
        self._runs = {i: self._new_run(i) for i in tape.instruments}
        self._digests = {
            i: digest_with_costs(run.params, self._costs.of(i)) for i, run in self._runs.items()
        }
        self._integrity: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._states = dict.fromkeys(tape.instruments, GateState())
        self._limits = settings.gate_limits()
        self._floors = {i: FloorsInForce(self._limits.floors) for i in tape.instruments}
        self._buffers = Buffers.of(settings.hysteresis_default, settings.hysteresis_pair_json)

    def extend(self, instrument: str, bars: Bars) -> None:
        """Append bars to an instrument's backtest."""
        self._runs[instrument].extend(bars)

    def evaluate(self, now: int) -> None:
        """Evaluate every instrument; ``now`` in seconds."""
        for instrument in self.instruments:
            self._evaluate(instrument, now)

    def run(self, instrument: str) -> StrictSpanRun:
        """An instrument's backtest so far."""
        return self._runs[instrument]

    @property
    def any_open(self) -> bool:
        """Whether any published gate is open."""
        return self._open_gates or any(e.gate for e in self.evaluations.values())

    def gates(self, now: int) -> Gates:
        """The gates as the allocator reads them from the blob of the last evaluations."""
        evaluated = self.evaluations
        if self._open_gates:
            return Gates(
                now * 1000,
                dict.fromkeys(evaluated, True),
                dict.fromkeys(evaluated, False),
                {i: [] for i in evaluated},
            )
        return Gates(
            now * 1000,
            {i: e.gate for i, e in evaluated.items()},
            {i: e.cooldown for i, e in evaluated.items()},
            {i: e.reasons for i, e in evaluated.items()},
        )

    def window(self, instrument: str) -> Window | None:
        """The window of the last bar as the allocator reads it; None before the first."""
        run = self._runs[instrument]
        if len(run) <= FIRST_WINDOW:
            return None
        figures = run.metrics.at(-1)
        return Window(
            coherence=figures.coherence,
            stability=figures.stability,
            entropy=figures.entropy,
            rupture=figures.rupture,
            hazard=figures.hazard,
        )

    def session(self, instrument: str, now: int) -> SessionState:
        """The instrument's session, without the names of the open exchanges; ``now`` in seconds."""
        return self._hours[instrument].at(now)

    def signal(self, instrument: str) -> SignalRecord | None:
        """The signal of the last bar; computed on demand, once a bar."""
        run = self._runs[instrument]
        watermark, (known, record) = run.watermark, self._signals.get(instrument, (None, None))
        if watermark is not None and watermark != known:
            record = next(map(signal_record, newest_signals(run, 1)), None)
            self._signals[instrument] = watermark, record
        return record

    def _new_run(self, instrument: str) -> StrictSpanRun:
        return AheadRun(
            self._bars[instrument],
            self._params_of(instrument),
            self.granularity.seconds,
            instrument,
            self._hours[instrument],
            self._settings.session_exit_minutes,
            long_run_days=self._settings.eval_long_run_days,
            costs=self._costs.of(instrument),
        )

    def _params_of(self, instrument: str) -> StrategyParams:
        return self._params.get(instrument, StrategyParams())

    def _evaluate(self, instrument: str, now: int) -> None:
        run, floors = self._runs[instrument], self._floors[instrument]
        observation = Observation(
            instrument,
            run.summary(self._settings.eval_span_days) if len(run) else None,
            run.watermark,
            self._integrity_of(instrument, run),
            self._hours[instrument].at(now),
            self._digests[instrument],
        )
        buffer = self._buffers.of_instrument(instrument)
        in_force = floors.at(now * 1000, observation.params, buffer)
        evaluation = evaluate(
            self._states[instrument],
            floors.history,
            observation,
            self._limits,
            buffer,
            now * 1000,
            floors=in_force,
        )
        before = self.evaluations.get(instrument)
        self._states[instrument] = evaluation.state
        self.evaluations[instrument] = evaluation
        if evaluation.sample is not None:
            floors.add(evaluation.sample)
        if before is None or before.reasons != evaluation.reasons or evaluation.eligibility_flipped:
            self._journal.add(
                now, Topic.GATE, instrument, gate=evaluation.gate,
                flipped=before is not None and before.gate != evaluation.gate,
                reasons=evaluation.reasons, verdict=evaluation.verdict,
                buffer=evaluation.buffer, summary=evaluation.summary,
                floors=evaluation.floors, band=evaluation.band, state=evaluation.state,
            )  # fmt: skip

    def _integrity_of(self, instrument: str, run: StrictSpanRun) -> tuple[str, ...]:
        # Slices of a run can only begin to disagree when a trade is added.
        trades, faults = self._integrity.get(instrument, (-1, ()))
        if trades != len(run.trades):
            faults = tuple(run.integrity())
            self._integrity[instrument] = (len(run.trades), faults)
        return faults
