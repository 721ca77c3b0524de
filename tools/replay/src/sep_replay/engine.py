"""The loop of the stack, driven by a tape instead of a clock."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sep_allocator.settings import AllocatorSettings
from sep_evaluator.domain.cost_records import rollovers
from sep_evaluator.domain.costs import NO_COST_TABLE, CostTable
from sep_evaluator.domain.evaluation import Evaluation
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.instants import format_seconds
from sep_fx.sessions import SessionCalendar
from sep_guard.settings import GuardSettings
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.market.instruments import EVERY_LISTING
from sep_paper_broker.orders.conditions import NORMAL, OrderConditions

from sep_replay.account_costs import AccountCosts
from sep_replay.allocation_stage import AllocationStage
from sep_replay.evaluation_stage import EvaluationStage
from sep_replay.journal import Journal, Topic
from sep_replay.paper_account import PaperAccount
from sep_replay.schedule import Cadence, Cadences, moments_of
from sep_replay.tape import Moment, Tape
from sep_replay.trading_stage import TradingStage

_ACCOUNT = "account"


class UnlistedInstrumentError(ValueError):
    """The paper broker does not list an instrument of the tape."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """The settings of the services, as they would run, and the opening balance.

    ``params`` are the promoted parameters by instrument; ``open_gates`` opens every gate;
    ``conditions`` is how the broker treats each order; ``home`` the account's currency; ``costs``
    are paid by the gates' backtests and by the account, beside the spread of the candles. Without
    them the gates pay what the evaluator's settings have, and the account nothing.
    """

    evaluator: EvaluatorSettings
    allocator: AllocatorSettings
    guard: GuardSettings
    balance: Decimal
    params: Mapping[str, StrategyParams] = field(default_factory=dict)
    open_gates: bool = False
    conditions: OrderConditions = NORMAL
    home: str = "USD"
    costs: CostTable | None = None

    @property
    def gate_costs(self) -> CostTable:
        """What the gates' backtests pay."""
        return self.evaluator.costs() if self.costs is None else self.costs

    @property
    def account_costs(self) -> CostTable:
        """What the account pays."""
        return self.costs or NO_COST_TABLE


class Replay:
    """Plays a tape through evaluator, allocator and guard, and records it in the journal.

    Raises:
        UnlistedInstrumentError: the paper broker does not list an instrument of the tape.
    """

    def __init__(self, tape: Tape, settings: ReplaySettings) -> None:
        unlisted = [i for i in sorted(tape.bars) if i not in EVERY_LISTING]
        if unlisted:
            raise UnlistedInstrumentError(
                f"the paper broker does not list {', '.join(unlisted)}; "
                f"it lists {', '.join(sorted(EVERY_LISTING))}"
            )
        self._tape = tape
        self._settings = settings
        self.journal = Journal()
        evaluator, costs = settings.evaluator, settings.account_costs
        self.calendar = SessionCalendar(
            evaluator.market_calendar, gating=evaluator.session_trading_enabled
        )
        opened = min((int(b.time[0]) for b in tape.bars.values() if len(b)), default=0)
        rules = {i: EVERY_LISTING[i].instrument for i in sorted(tape.bars)}
        self.account = PaperAccount(
            rules, settings.balance, opened, settings.conditions, settings.home, costs
        )
        self.evaluation = EvaluationStage(
            tape, evaluator, self.calendar, self.journal, settings.params,
            open_gates=settings.open_gates, costs=settings.gate_costs,
        )  # fmt: skip
        self.allocation = AllocationStage(
            self.evaluation, settings.allocator, self.calendar, self.journal
        )
        self.trading = TradingStage(
            self.account, self.evaluation, self.allocation, settings.guard, self.calendar,
            self.journal, AccountCosts(costs),
        )  # fmt: skip
        self._traded = frozenset(tape.instruments)
        self._nights = [int(at) for at in rollovers()] if _has_financing(costs) else []
        self._night = bisect_right(self._nights, opened)
        self._cadences = Cadences(
            evaluation=Cadence(evaluator.eval_interval_sec),
            allocation=Cadence(settings.allocator.alloc_interval_sec),
            reconcile=Cadence(settings.guard.pm_reconcile_sec),
        )
        self._evaluated = 0

    def run(self, progress: Callable[[int], None] = lambda _: None) -> Journal:
        """Play the tape to its end.

        Args:
            progress: called once a day with the number of bars played since the last call.
        """
        day = ""
        now = played = 0
        for moment in moments_of(self._tape, self._cadences):
            now = moment.time
            # A bar that ends at midnight belongs to the day before.
            today = format_seconds(now - 1)[:10]
            if day and today != day:
                self._record_nav(now, day)
                progress(played)
                played = 0
            day = today
            self.take_in(moment)
            self.act(now)
            played += len(moment.ended)
        if day:
            self._record_nav(now, day)
        progress(played)
        return self.journal

    def act(self, now: int) -> None:
        """Run the services whose interval has passed; ``now`` in seconds."""
        self.judge(now)
        if self._cadences.reconcile.due(now):
            self.trading.reconcile(now)

    def judge(self, now: int) -> None:
        """Run the evaluator and the allocator where their interval has passed."""
        due = self._cadences
        evaluated = due.evaluation.due(now)
        if evaluated:
            self._evaluated = now
            self.evaluation.evaluate(now)
        # The allocator acts at its interval, and at once on new gates.
        if due.allocation.due(now) or evaluated:
            self.allocation.allocate(now, self._evaluated, self.account.held())

    def take_in(self, moment: Moment) -> None:
        """Play the bars that end and begin at a moment."""
        seconds, now = self._tape.granularity.seconds, moment.time
        self._finance(now - 1)
        for instrument, at in moment.ended.items():
            bars = self._tape.bars[instrument]
            self._record_fills(instrument, self.account.observe(instrument, bars, at, seconds), now)
            if instrument in self._traded:
                self.evaluation.extend(instrument, bars.slice(at, at + 1))
        self._finance(now)
        for instrument, at in moment.begun.items():
            bars = self._tape.bars[instrument]
            self._record_fills(instrument, self.account.begin(instrument, bars, at, seconds), now)
        self.trading.deliver(moment.begun, now)

    def _finance(self, until: int) -> None:
        """Book the financing that is due until a time in seconds."""
        nights = self._nights
        while self._night < len(nights) and nights[self._night] <= until:
            at = nights[self._night]
            self._night += 1
            self._record_fills(_ACCOUNT, self.account.finance(at), at)

    def _record_fills(self, instrument: str, done: Iterable[Transaction], now: int) -> None:
        for transaction in done:
            self.journal.add(now, Topic.FILL, instrument, transaction=transaction.body)

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """The last evaluation of each instrument."""
        return self.evaluation.evaluations

    def _record_nav(self, now: int, day: str) -> None:
        self.journal.add(now, Topic.NAV, day, nav=self.account.nav, balance=self.account.balance)


def _has_financing(costs: CostTable) -> bool:
    return any(c.has_financing for c in (costs.default, *costs.by_instrument.values()))
