"""The guard of a replay: plans a cycle and sends its orders to the paper account."""

from sep_fx.sessions import SessionCalendar
from sep_guard.adapters.input_records import signal_of, weights_of
from sep_guard.domain.actions import Action, Kind
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.limits import Controls
from sep_guard.domain.market import Market
from sep_guard.domain.orders import intent_of_action
from sep_guard.domain.view import View
from sep_guard.settings import GuardSettings
from sep_paper_broker.market.instruments import LISTINGS

from sep_replay.allocation_stage import AllocationStage
from sep_replay.evaluation_stage import EvaluationStage
from sep_replay.journal import Journal, Topic
from sep_replay.paper_account import PaperAccount

_ALLOWED = Controls(kill_switch=False, read_only=False, live_allowed=True)


class TradingStage:
    """Reconciles the account with the weights, and records decisions and orders."""

    def __init__(
        self,
        account: PaperAccount,
        evaluation: EvaluationStage,
        allocation: AllocationStage,
        settings: GuardSettings,
        calendar: SessionCalendar,
        journal: Journal,
    ) -> None:
        self._account = account
        self._evaluation = evaluation
        self._allocation = allocation
        self._limits = settings.limits()
        self._calendar = calendar
        self._journal = journal
        self._margin_open = True
        self._cycle = 0

    def reconcile(self, now: int) -> None:
        """Run one cycle; ``now`` in seconds."""
        self._cycle += 1
        if self._allocation.is_empty and self._account.is_flat:
            # No position and no weight: no decision; without margin in use the gate is open.
            self._margin_open = True
            return
        view = self._view(now)
        plan = plan_cycle(view, self._limits)
        self._margin_open = plan.margin_open
        for action in plan.actions:
            if action.kind in (Kind.HOLD, Kind.MANUAL):
                continue
            decision_id = f"{self._cycle:08d}:{action.instrument}"
            self._journal.add(
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
        outcome = self._account.place(intent_of_action(action, decision_id, view), now)
        transaction = outcome.fill or outcome.cancel or outcome.reject
        self._journal.add(
            now, Topic.ORDER, action.instrument, id=decision_id, kind=action.kind,
            units=action.order, reasons=action.reasons, filled=outcome.fill is not None,
            answer=transaction.body if transaction else None, nav=self._account.nav,
        )  # fmt: skip

    def _view(self, now: int) -> View:
        weights = self._allocation.record()
        return View(
            account=self._account.state(),
            markets={i: self._market(i, now) for i in self._evaluation.instruments},
            weights=None if weights is None else weights_of(weights),
            margin_was_open=self._margin_open,
            controls=_ALLOWED,
            now_ms=now * 1000,
            link_sound=True,
        )

    def _market(self, name: str, now: int) -> Market:
        signal, quote = self._evaluation.signal(name), self._account.quote(name)
        rules = LISTINGS[name].instrument
        return Market(
            instrument=rules,
            session=self._calendar.state(name, now),
            signal=None if signal is None else signal_of(signal, self._evaluation.granularity),
            # On a tape the last close is the live price.
            manifold_ms=None if quote is None else quote.ts_ms,
            quote=quote,
            home_per_quote=self._account.home_per_unit(rules.quote),
            holding=self._account.holding(name),
            order_unknown=False,
        )
