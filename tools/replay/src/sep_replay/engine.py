"""The loop of the stack, driven by a tape instead of a clock."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sep_allocator.settings import AllocatorSettings
from sep_evaluator.domain.evaluation import Evaluation
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.instants import format_seconds
from sep_fx.sessions import SessionCalendar
from sep_guard.settings import GuardSettings
from sep_paper_broker.market.instruments import LISTINGS

from sep_replay.allocation_stage import AllocationStage
from sep_replay.evaluation_stage import EvaluationStage
from sep_replay.journal import Journal, Topic
from sep_replay.paper_account import PaperAccount
from sep_replay.tape import Tape
from sep_replay.trading_stage import TradingStage


class UnlistedInstrumentError(ValueError):
    """The paper broker does not list an instrument of the tape."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """The settings of the services, as they would run, and the opening balance."""

    evaluator: EvaluatorSettings
    allocator: AllocatorSettings
    guard: GuardSettings
    balance: Decimal


class Replay:
    """Plays a tape through evaluator, allocator and guard, and records it in the journal.

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
        self.journal = Journal()
        evaluator = settings.evaluator
        self.calendar = SessionCalendar(
            evaluator.market_calendar, gating=evaluator.session_trading_enabled
        )
        opened = min((int(b.time[0]) for b in tape.bars.values() if len(b)), default=0)
        rules = {i: LISTINGS[i].instrument for i in tape.instruments}
        self.account = PaperAccount(rules, settings.balance, opened)
        self.evaluation = EvaluationStage(tape, evaluator, self.calendar, self.journal)
        self.allocation = AllocationStage(
            self.evaluation, settings.allocator, self.calendar, self.journal
        )
        self.trading = TradingStage(
            self.account, self.evaluation, self.allocation, settings.guard, self.calendar,
            self.journal,
        )  # fmt: skip

    def run(self, progress: Callable[[int], None] = lambda _: None) -> Journal:
        """Play the tape to its end.

        Args:
            progress: called once a day with the number of bars played since the last call.
        """
        evaluated = reconciled = -(2**60)
        day = ""
        now = played = 0
        for now, ended in self._tape.moments():
            # A bar that ends at midnight belongs to the day before.
            today = format_seconds(now - 1)[:10]
            if day and today != day:
                self._record_nav(now, day)
                progress(played)
                played = 0
            day = today
            self.take_in(ended, now)
            if now - evaluated >= self._settings.evaluator.eval_interval_sec:
                evaluated = now
                self.evaluation.evaluate(now)
                self.allocation.allocate(now)
            if now - reconciled >= self._settings.guard.pm_reconcile_sec:
                reconciled = now
                self.trading.reconcile(now)
            played += len(ended)
        if day:
            self._record_nav(now, day)
        progress(played)
        return self.journal

    def take_in(self, ended: dict[str, int], now: int) -> None:
        """Play the bars that end at ``now``, given as indices by instrument."""
        seconds = self._tape.granularity.seconds
        for instrument, at in ended.items():
            bars = self._tape.bars[instrument]
            for done in self.account.observe(instrument, bars, at, seconds):
                self.journal.add(now, Topic.FILL, instrument, transaction=done.body)
            self.evaluation.extend(instrument, bars.slice(at, at + 1))

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """The last evaluation of each instrument."""
        return self.evaluation.evaluations

    def _record_nav(self, now: int, day: str) -> None:
        self.journal.add(now, Topic.NAV, day, nav=self.account.nav, balance=self.account.balance)
