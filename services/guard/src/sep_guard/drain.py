"""Carries a drain out: only under an engaged kill switch, one reduce-only order at a time."""

from collections.abc import Callable
from dataclasses import dataclass

from sep_kit.errors import NotTheWriterError, PreconditionError, ReadOnlyError
from sep_kit.logging import get_logger
from sep_kit.store.lease import Lease

from sep_guard.adapters.decision_log import DrainRecord, queue_drain
from sep_guard.adapters.market_reader import MarketReader
from sep_guard.dispatcher import Dispatcher
from sep_guard.domain.budget import drain_budget_of
from sep_guard.domain.cycle import View
from sep_guard.domain.drain import Close, DrainLimits, DrainPlan, plan_drain
from sep_guard.domain.limits import PortfolioLimits
from sep_guard.domain.orders import Intent, Result, client_order_id
from sep_guard.metrics import GuardMetrics

_log = get_logger("PortfolioManager")


class KillSwitchReleasedError(PreconditionError):
    """A drain runs only while nothing new can be opened."""

    reason = "KILL_SWITCH_RELEASED"


@dataclass(frozen=True, slots=True)
class Closed:
    """A close and what became of its order."""

    close: Close
    client_order_id: str
    result: Result


class Drain:
    """Plans and executes drains.

    Executing plans afresh from what is held now, so a drain that was aborted goes on
    where it stopped. The key of each order is made of drain, instrument and units held:
    sent twice for the same position it is one order.
    """

    def __init__(
        self,
        reader: MarketReader,
        dispatcher: Dispatcher,
        limits: PortfolioLimits,
        lease: Lease,
        new_id: Callable[[], str],
        metrics: GuardMetrics,
    ) -> None:
        self._reader = reader
        self._dispatcher = dispatcher
        self._limits = limits
        self._lease = lease
        self._new_id = new_id
        self._metrics = metrics

    async def plan(self, limits: DrainLimits) -> tuple[str, View, DrainPlan]:
        """A fresh drain id, what was seen, and what a drain would close."""
        view = await self._reader.view()
        return self._new_id(), view, self._plan(view, limits)

    async def execute(
        self, drain_id: str, limits: DrainLimits, only: str | None = None
    ) -> tuple[tuple[Closed, ...], DrainPlan]:
        """Close what is over the cap; returns what was done and what a plan says then.

        Args:
            only: the one instrument to close in; every one without it.

        Raises:
            KillSwitchReleasedError: the kill switch is not engaged.
            ReadOnlyError: every order is refused.
            NotTheWriterError: another replica holds the lease.
            UnavailableError: the broker does not answer.
        """
        async with self._dispatcher.one_plan():
            # While Valkey is away nobody can hold the lease, and nobody can open anything.
            if not self._lease.held and not self._lease.store_unavailable:
                raise NotTheWriterError("this guard does not hold the writer lease; ask again")
            await self._check_controls()
            if not self._lease.store_unavailable:
                await self._dispatcher.settle()
            view = await self._reader.view()
            done = []
            for close in self._plan(view, limits).closes:
                if only not in (None, close.instrument):
                    continue
                await self._check_controls()
                done.append(await self._close(drain_id, close, view, limits))
            _, after, remaining = await self.plan(limits)
        self._metrics.show_account(after.account)
        return tuple(done), remaining

    def _plan(self, view: View, limits: DrainLimits) -> DrainPlan:
        budget = drain_budget_of(view.account, self._limits)
        return plan_drain(view.account, view.markets.values(), budget, limits)

    async def _check_controls(self) -> None:
        # A store that is known to be away is not waited for.
        away = self._lease.store_unavailable
        controls = self._reader.halted() if away else await self._reader.controls()
        if controls.read_only:
            raise ReadOnlyError("READ_ONLY=1 refuses every order; restart without it to drain")
        if not controls.kill_switch:
            raise KillSwitchReleasedError(
                "the kill switch is released; engage it first, so that nothing is opened meanwhile"
            )

    async def _close(self, drain_id: str, close: Close, view: View, limits: DrainLimits) -> Closed:
        decision_id = f"{drain_id}:{close.instrument}"
        intent = Intent(
            client_order_id(decision_id, f"drain:{close.current}"),
            decision_id,
            close.instrument,
            close.order,
            True,
            None,
            None,
            None,
            view.account.last_transaction_id,
            view.now_ms,
        )
        _log.info(
            "drain", instrument=close.instrument, current=str(close.current),
            order=str(close.order), reasons=[close.reason.value], decision_id=decision_id,
        )  # fmt: skip
        self._metrics.count_drain(close)
        record = DrainRecord.of(decision_id, close, view, self._limits, limits)
        # A reduction goes whether or not it could be kept; what happened is owed to the store.
        await self._dispatcher.keep(intent, lambda pipe: queue_drain(pipe, record))
        result = await self._dispatcher.send(intent)
        return Closed(close, intent.client_order_id, result)
