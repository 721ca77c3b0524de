"""Carries out a drain: only while the kill switch is engaged, one reduce-only order at a time."""

from collections.abc import Callable

from sep_kit.errors import PreconditionError, ReadOnlyError
from sep_kit.logging import get_logger

from sep_guard.application.closing import Closed, Closing
from sep_guard.domain.budget import drain_budget_of
from sep_guard.domain.drain import Close, DrainLimits, DrainPlan, plan_drain
from sep_guard.domain.limits import PortfolioLimits
from sep_guard.domain.view import View
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import GuardStore, Transaction, ViewSource

_log = get_logger("PortfolioManager")


class KillSwitchReleasedError(PreconditionError):
    """A drain was asked for while the kill switch is released, so entries could be opened."""

    reason = "KILL_SWITCH_RELEASED"


class Drain:
    """Plans and executes drains.

    Each execution plans from what is held at that time, so an aborted drain resumes where it
    stopped. The key of an order is made of drain, instrument and units held: the same close
    sent twice is one order.
    """

    def __init__(
        self,
        source: ViewSource,
        closing: Closing,
        limits: PortfolioLimits,
        store: GuardStore,
        new_id: Callable[[], str],
        metrics: GuardMetrics,
    ) -> None:
        self._source = source
        self._closing = closing
        self._limits = limits
        self._store = store
        self._new_id = new_id
        self._metrics = metrics

    async def plan(self, limits: DrainLimits) -> tuple[str, View, DrainPlan]:
        """A new drain id, the view that was read, and what a drain would close."""
        view = await self._source.view()
        return self._new_id(), view, self._plan(view, limits)

    async def execute(
        self, drain_id: str, limits: DrainLimits, only: str | None = None
    ) -> tuple[tuple[Closed, ...], DrainPlan]:
        """Close what is over the cap.

        Args:
            only: the one instrument to close in; all when None.

        Returns:
            The closes, and a plan made after them.

        Raises:
            KillSwitchReleasedError: the kill switch is not engaged.
            ReadOnlyError: READ_ONLY refuses every order.
            NotTheWriterError: another replica holds the lease.
            UnavailableError: the broker does not answer.
        """
        async with self._closing.exclusive():
            await self._check_controls()
            await self._closing.settle()
            view = await self._source.view()
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
        # Reading from a store that is known to be away would only time out.
        controls = (
            self._source.controls_without_store()
            if self._store.is_away
            else await self._source.controls()
        )
        if controls.read_only:
            raise ReadOnlyError("READ_ONLY=1 refuses every order; restart without it to drain")
        if not controls.kill_switch:
            raise KillSwitchReleasedError(
                "the kill switch is released; engage it first, so that nothing is opened meanwhile"
            )

    async def _close(self, drain_id: str, close: Close, view: View, limits: DrainLimits) -> Closed:
        decision_id = f"{drain_id}:{close.instrument}"
        _log.info(
            "drain", instrument=close.instrument, current=str(close.current),
            order=str(close.order), reasons=[close.reason.value], decision_id=decision_id,
        )  # fmt: skip

        def record(transaction: Transaction) -> None:
            transaction.record_close(decision_id, close, view, self._limits, limits)

        return await self._closing.send(decision_id, close, view, record)
