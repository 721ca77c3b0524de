"""The guard of a replay: plans a cycle and sends its orders to the paper account."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sep_fx.sessions import SessionCalendar
from sep_guard.adapters.decision_records import DecisionRecord
from sep_guard.adapters.input_records import signal_of, weights_of
from sep_guard.domain.actions import Action, Kind
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.flatten import plan_flatten
from sep_guard.domain.limits import Controls
from sep_guard.domain.market import Market, Weights
from sep_guard.domain.orders import Intent, intent_of_action, intents_of_close
from sep_guard.domain.risk.context import context_of
from sep_guard.domain.risk.exposure import exposure_of
from sep_guard.domain.risk.limits import BreakerAction
from sep_guard.domain.view import View
from sep_guard.settings import GuardSettings
from sep_paper_broker.market.instruments import EVERY_LISTING

from sep_replay.account_costs import AccountCosts
from sep_replay.allocation_stage import AllocationStage
from sep_replay.evaluation_stage import EvaluationStage
from sep_replay.journal import Journal, Topic
from sep_replay.paper_account import PaperAccount
from sep_replay.risk_stage import RiskStage


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An order on its way to the market, which it reaches at ``due``, seconds."""

    due: int
    intent: Intent
    kind: Kind
    reasons: tuple[str, ...]


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
        costs: AccountCosts,
    ) -> None:
        self._costs = costs
        self._waiting: dict[str, _Waiting] = {}
        self._account = account
        self._evaluation = evaluation
        self._allocation = allocation
        self._limits = settings.limits()
        self._calendar = calendar
        self._journal = journal
        self._margin_open = True
        self._cycle = 0
        self._refused: dict[str, tuple[str, ...]] = {}
        self.risk = RiskStage(account, self._limits.risk, journal)

    def reconcile(self, now: int) -> None:
        """Run one cycle; ``now`` in seconds."""
        self._cycle += 1
        if self._account.is_flat and self.risk.up_to_date and self._nothing_to_enter(now):
            # No position, no weight: no decision; without margin in use the gate is open.
            self._margin_open = True
            return
        view = self._view(now)
        plan = plan_cycle(view, self._limits)
        self._margin_open = plan.margin_open
        self.risk.plan(plan, now)
        for action in plan.actions:
            # An order on its way is decided once.
            if action.kind in (Kind.HOLD, Kind.MANUAL) or action.instrument in self._waiting:
                continue
            if not self._changed(action):
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
            record = DecisionRecord.of(decision_id, action, view, self._limits)
            self._journal.records.append(record)
            self.risk.record(action, now)
            if action.order and not (action.kind is Kind.ENTRY and self.risk.tripped):
                intent = intent_of_action(action, decision_id, view)
                self._send(intent, action.kind, action.reasons, now)
        if self.risk.tripped and self._limits.risk.breaker_action is BreakerAction.FLATTEN:
            self._flatten(view, now)

    def _nothing_to_enter(self, now: int) -> bool:
        return self._allocation.is_empty or not self._calendar.market_open(now)

    def _changed(self, action: Action) -> bool:
        """Whether a decision is news: the same refusal again is not."""
        refused = action.reasons if action.kind is Kind.REFUSAL else ()
        before = self._refused.get(action.instrument, ())
        self._refused[action.instrument] = refused
        return not refused or refused != before

    def _flatten(self, view: View, now: int) -> None:
        markets = {i: self._market(i, now) for i in view.markets}
        view = replace(view, markets=markets, account=self._account.state())
        for close in plan_flatten(markets.values(), include_manual=False):
            decision_id = f"{self._cycle:08d}:flatten:{close.instrument}"
            for intent in intents_of_close(close, decision_id, view):
                self._send(intent, Kind.REDUCTION, (close.reason,), now)

    def deliver(self, begun: Mapping[str, int], now: int) -> None:
        """Bring orders to the market whose delay has passed, where a bar begins."""
        for instrument in sorted(begun.keys() & self._waiting.keys()):
            order = self._waiting[instrument]
            if now >= order.due:
                del self._waiting[instrument]
                self._place(order.intent, order.kind, order.reasons, now)

    def _send(self, intent: Intent, kind: Kind, reasons: tuple[str, ...], now: int) -> None:
        delay = self._costs.delay_of(intent.instrument)
        if not delay:
            self._place(intent, kind, reasons, now)
        elif intent.instrument not in self._waiting:
            self._waiting[intent.instrument] = _Waiting(now + delay, intent, kind, reasons)

    def _place(self, intent: Intent, kind: Kind, reasons: tuple[str, ...], now: int) -> None:
        outcome = self._account.place(intent, now)
        transaction = outcome.fill or outcome.cancel or outcome.reject
        self._journal.add(
            now, Topic.ORDER, intent.instrument, id=intent.decision_id, kind=kind,
            units=intent.units, reasons=reasons, filled=outcome.fill is not None,
            answer=transaction.body if transaction else None, nav=self._account.nav,
        )  # fmt: skip

    def _view(self, now: int) -> View:
        weights = self._allocation.record()
        observed = self.risk.observe(now)
        read = None if weights is None else weights_of(weights)
        markets = self._markets(read, now)
        return View(
            account=self._account.state(),
            markets=markets,
            weights=read,
            margin_was_open=self._margin_open,
            controls=Controls(kill_switch=self.risk.tripped, read_only=False, live_allowed=True),
            now_ms=now * 1000,
            link_sound=True,
            risk=context_of(observed, exposure_of(markets.values()), now * 1000),
        )

    def _markets(self, weights: Weights | None, now: int) -> dict[str, Market]:
        """The markets with a weight or a position; the plan holds all others and adds nothing."""
        held, weighted = self._account.held(), {} if weights is None else weights.by_instrument
        instruments = self._evaluation.instruments
        return {i: self._market(i, now) for i in instruments if i in held or weighted.get(i)}

    def _market(self, name: str, now: int) -> Market:
        signal, quote = self._evaluation.signal(name), self._account.quote(name, now)
        rules = EVERY_LISTING[name].instrument
        return Market(
            instrument=rules,
            session=self._calendar.state(name, now),
            signal=None if signal is None else signal_of(signal, self._evaluation.granularity),
            # On a tape the live price is the manifold's.
            manifold_ms=None if quote is None else quote.ts_ms,
            manifold_price=None if quote is None else quote.mid,
            quote=quote,
            home_per_quote=self._account.home_per_unit(rules.quote),
            holding=self._account.holding(name),
            order_unknown=False,
        )
