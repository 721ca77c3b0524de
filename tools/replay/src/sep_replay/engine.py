"""The loop of the stack, driven by the tape instead of the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sep_allocator.adapters.records import gates_of, record_of, window_of
from sep_allocator.domain.allocation import NOTHING, Allocation, allocate
from sep_allocator.settings import AllocatorSettings
from sep_evaluator.adapters.gates_blob import blob_of
from sep_evaluator.adapters.signal_records import signal_record
from sep_evaluator.application.buffers import Buffers
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.evaluation import Evaluation, Observation, evaluate
from sep_evaluator.domain.floors import FloorsInForce
from sep_evaluator.domain.gates import GateState
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.signals import newest_signals
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.instants import format_seconds
from sep_fx.sessions import SessionCalendar
from sep_guard.adapters.market_reader import signal_of, weights_of
from sep_guard.domain.cycle import Action, Kind, Plan, View, plan_cycle
from sep_guard.domain.limits import Controls
from sep_guard.domain.market import Market, Weights
from sep_guard.domain.orders import Intent, client_order_id
from sep_guard.settings import GuardSettings
from sep_kit.store.records import SignalRecord
from sep_paper_broker.domain.instruments import LISTINGS

from sep_replay.journal import Journal, Topic
from sep_replay.paper_account import PaperAccount
from sep_replay.tape import Tape
from sep_replay.trading_hours import TradingHours

_ALLOWED = Controls(kill_switch=False, read_only=False, live_allowed=True)


class UnlistedInstrumentError(ValueError):
    """The paper broker does not list an instrument of the tape."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """The services' own settings: a replay judges them as they would run."""

    evaluator: EvaluatorSettings
    allocator: AllocatorSettings
    guard: GuardSettings
    balance: Decimal


class Replay:
    """Runs a tape through evaluator, allocator and guard; everything it does is in the journal.

    Raises:
        UnlistedInstrumentError: the paper broker does not list an instrument of the tape.
    """

    def __init__(self, tape: Tape, settings: ReplaySettings) -> None:
        unlisted = [i for i in tape.instruments if i not in LISTINGS]
        if unlisted:
            raise UnlistedInstrumentError(
                f"the paper broker does not list {', '.join(unlisted)}; "
                f"it lists {', '.join(sorted(LISTINGS))}"
            )
        self._tape = tape
        self._settings = settings
        evaluator = settings.evaluator
        self._calendar = SessionCalendar(
            evaluator.market_calendar, gating=evaluator.session_trading_enabled
        )
        self._hours = {i: TradingHours(self._calendar, i) for i in tape.instruments}
        self._runs = {i: self._new_run(i) for i in tape.instruments}
        self._integrity: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._states = dict.fromkeys(tape.instruments, GateState())
        self._limits = evaluator.gate_limits()
        self._floors = {i: FloorsInForce(self._limits.floors) for i in tape.instruments}
        self._buffers = Buffers.of(evaluator.hysteresis_default, evaluator.hysteresis_pair_json)
        self._evaluations: dict[str, Evaluation] = {}
        self._allocation: Allocation = NOTHING
        self._margin_open = True
        opened = min((int(b.time[0]) for b in tape.bars.values() if len(b)), default=0)
        rules = {i: LISTINGS[i].instrument for i in tape.instruments}
        self._rules = rules
        self._account = PaperAccount(rules, settings.balance, opened)
        self._cycle = 0
        self.journal = Journal()

    def run(self, progress: Callable[[int], None] = lambda _: None) -> Journal:
        """Play the tape to its end.

        Args:
            progress: called now and then with the number of bars played since.
        """
        evaluated = reconciled = -(2**60)
        day = ""
        now = played = 0
        for now, ended in self._tape.moments():
            # A bar that ends at midnight belongs to the day that ends with it.
            today = format_seconds(now - 1)[:10]
            if day and today != day:
                self._note_nav(now, day)
                progress(played)
                played = 0
            day = today
            self._take_in(ended, now)
            if now - evaluated >= self._settings.evaluator.eval_interval_sec:
                evaluated = now
                self._evaluate(now)
                self._allocate(now)
            if now - reconciled >= self._settings.guard.pm_reconcile_sec:
                reconciled = now
                self._reconcile(now)
            played += len(ended)
        if day:
            self._note_nav(now, day)
        progress(played)
        return self.journal

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """The last evaluation of each instrument."""
        return self._evaluations

    def _new_run(self, instrument: str) -> StrictSpanRun:
        return StrictSpanRun(
            StrategyParams(),
            self._tape.granularity.seconds,
            instrument,
            self._hours[instrument],
            self._settings.evaluator.session_exit_minutes,
            long_run_days=self._settings.evaluator.eval_long_run_days,
        )

    def _take_in(self, ended: dict[str, int], now: int) -> None:
        for instrument, at in ended.items():
            bars = self._tape.bars[instrument]
            for done in self._account.observe(instrument, bars, at, self._tape.granularity.seconds):
                self.journal.add(now, Topic.FILL, instrument, transaction=done.body)
            self._runs[instrument].extend(bars.slice(at, at + 1))

    def _evaluate(self, now: int) -> None:
        settings = self._settings.evaluator
        for instrument, run in self._runs.items():
            observation = Observation(
                instrument,
                run.summary(settings.eval_span_days) if len(run) else None,
                run.watermark,
                self._integrity_of(instrument, run),
                self._hours[instrument].at(now),
            )
            floors = self._floors[instrument]
            in_force = floors.at(now * 1000)
            evaluation = evaluate(
                self._states[instrument],
                floors.history,
                observation,
                self._limits,
                self._buffers.of_instrument(instrument),
                now * 1000,
                floors=in_force,
            )
            before = self._evaluations.get(instrument)
            self._states[instrument] = evaluation.state
            self._evaluations[instrument] = evaluation
            if evaluation.sample is not None:
                floors.add(evaluation.sample)
            if (
                before is None
                or before.reasons != evaluation.reasons
                or evaluation.eligibility_flipped
            ):
                self.journal.add(
                    now, Topic.GATE, instrument, gate=evaluation.gate,
                    flipped=before is not None and before.gate != evaluation.gate,
                    reasons=evaluation.reasons, verdict=evaluation.verdict,
                    buffer=evaluation.buffer, summary=evaluation.summary,
                    floors=evaluation.floors, band=evaluation.band, state=evaluation.state,
                )  # fmt: skip

    def _integrity_of(self, instrument: str, run: StrictSpanRun) -> tuple[str, ...]:
        # The slices of a run can only fall out with each other when a trade comes in.
        trades, faults = self._integrity.get(instrument, (-1, ()))
        if trades != len(run.trades):
            faults = tuple(run.integrity())
            self._integrity[instrument] = (len(run.trades), faults)
        return faults

    def _allocate(self, now: int) -> None:
        before = self._allocation
        evaluations = self._evaluations.values()
        if not before.weights and not any(e.gate for e in evaluations):
            # Nothing to score: what is allocated stays nothing, made from this round.
            self._allocation = Allocation(now * 1000, now * 1000, {}, {}, False, None)
            return
        self._allocation = allocate(
            gates_of(blob_of(list(evaluations), now * 1000)),
            {i: window_of(s) for i in self._tape.instruments if (s := self._signal(i))},
            {i: self._calendar.state(i, now) for i in self._tape.instruments},
            before,
            self._settings.allocator.limits(),
            now * 1000,
            market_open=self._calendar.market_open(now),
        )
        if set(self._allocation.weights) != set(before.weights):
            self.journal.add(
                now, Topic.WEIGHTS, "all", weights=self._allocation.weights,
                scores=self._allocation.scores,
            )  # fmt: skip

    def _signal(self, instrument: str) -> SignalRecord | None:
        """The signal of the last bar, made when somebody asks for it."""
        return next(map(signal_record, newest_signals(self._runs[instrument], 1)), None)

    def _reconcile(self, now: int) -> None:
        self._cycle += 1
        if not self._allocation.weights and self._account.is_flat:
            # Nothing is held and nothing is wanted; with no margin in use the gate is open.
            self._margin_open = True
            return
        view = self._view(now)
        plan: Plan = plan_cycle(view, self._settings.guard.limits())
        self._margin_open = plan.margin_open
        for action in plan.actions:
            if action.kind in (Kind.HOLD, Kind.MANUAL):
                continue
            decision_id = f"{self._cycle:08d}:{action.instrument}"
            self.journal.add(
                now, Topic.DECISION, action.instrument, id=decision_id, kind=action.kind,
                current=action.current, target=action.target, order=action.order,
                reasons=action.reasons, checks=action.checks, brackets=action.brackets,
                margin=action.margin,
                market=view.markets[action.instrument], account=view.account,
                budget=plan.budget,
            )  # fmt: skip
            if action.order:
                self._send(action, decision_id, view, now)

    def _send(self, action: Action, decision_id: str, view: View, now: int) -> None:
        brackets = action.brackets
        intent = Intent(
            client_order_id(decision_id, action.kind),
            decision_id,
            action.instrument,
            action.order,
            action.kind is Kind.REDUCTION,
            brackets.stop_loss if brackets else None,
            brackets.take_profit if brackets else None,
            brackets.price_bound if brackets else None,
            view.account.last_transaction_id,
            view.now_ms,
        )
        outcome = self._account.place(intent, now)
        answered = outcome.fill or outcome.cancel or outcome.reject
        self.journal.add(
            now, Topic.ORDER, action.instrument, id=decision_id, kind=action.kind,
            units=action.order, reasons=action.reasons, filled=outcome.fill is not None,
            answer=answered.body if answered else None, nav=self._account.nav,
        )  # fmt: skip

    def _view(self, now: int) -> View:
        markets = {}
        for instrument in self._tape.instruments:
            signal = self._signal(instrument)
            quote = self._account.quote(instrument)
            markets[instrument] = Market(
                self._rules[instrument],
                self._calendar.state(instrument, now),
                None if signal is None else signal_of(signal, self._tape.granularity),
                # On a tape the last close is the live price.
                None if quote is None else quote.ts_ms,
                quote,
                self._account.home_per_unit(self._rules[instrument].quote),
                self._account.holding(instrument),
                order_unknown=False,
            )
        return View(
            self._account.state(),
            markets,
            self._weights(),
            self._margin_open,
            _ALLOWED,
            now * 1000,
            link_sound=True,
        )

    def _weights(self) -> Weights | None:
        if self._allocation is NOTHING:
            return None
        top_k = self._settings.allocator.alloc_top_k
        return weights_of(record_of(self._allocation, top_k))

    def _note_nav(self, now: int, day: str) -> None:
        self.journal.add(now, Topic.NAV, day, nav=self._account.nav, balance=self._account.balance)
