"""GuardService: checks, converts, calls, converts."""

import grpc
from sep.guard.v1 import guard_pb2, guard_pb2_grpc
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import InvalidArgumentError, UnknownInstrumentError
from sep_kit.grpc.call_context import caller_name
from sep_kit.logging import get_logger
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import KillSwitchChange

from sep_guard.adapters.market_reader import MarketReader
from sep_guard.convert import (
    budget_message,
    cycle_message,
    drain_limits_of,
    drained_message,
    kill_switch_message,
    plan_message,
    readiness_message,
)
from sep_guard.domain.cycle import readiness
from sep_guard.domain.limits import GuardLimits
from sep_guard.drain import Drain
from sep_guard.metrics import GuardMetrics
from sep_guard.reconcile_loop import ReconcileLoop

_log = get_logger("PortfolioManager")


class GuardServicer(guard_pb2_grpc.GuardServiceServicer):
    """Answers with what a cycle would see now."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        reader: MarketReader,
        loop: ReconcileLoop,
        drain: Drain,
        limits: GuardLimits,
        kill_switch: KillSwitch,
        clock: Clock,
        metrics: GuardMetrics,
    ) -> None:
        self._instruments = tuple(sorted(instruments))
        self._reader = reader
        self._loop = loop
        self._drain = drain
        self._limits = limits
        self._kill_switch = kill_switch
        self._clock = clock
        self._metrics = metrics

    async def GetBudget(
        self,
        request: guard_pb2.GetBudgetRequest,
        context: grpc.aio.ServicerContext[guard_pb2.GetBudgetRequest, guard_pb2.GetBudgetResponse],
    ) -> guard_pb2.GetBudgetResponse:
        """The budget from the account as it is now."""
        return budget_message(await self._reader.view(), self._limits.portfolio)

    async def Reconcile(
        self,
        request: guard_pb2.ReconcileRequest,
        context: grpc.aio.ServicerContext[guard_pb2.ReconcileRequest, guard_pb2.ReconcileResponse],
    ) -> guard_pb2.ReconcileResponse:
        """One cycle now."""
        return cycle_message(await self._loop.reconcile(dry_run=request.dry_run))

    async def GetKillSwitch(
        self,
        request: guard_pb2.GetKillSwitchRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.GetKillSwitchRequest, guard_pb2.GetKillSwitchResponse
        ],
    ) -> guard_pb2.GetKillSwitchResponse:
        """The kill switch as it stands."""
        return kill_switch_message(await self._kill_switch.read())

    async def SetKillSwitch(
        self,
        request: guard_pb2.SetKillSwitchRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.SetKillSwitchRequest, guard_pb2.SetKillSwitchResponse
        ],
    ) -> guard_pb2.SetKillSwitchResponse:
        """Engage or release. To release one must say why; to halt nobody has to."""
        if not request.kill_switch and not request.reason.strip():
            raise InvalidArgumentError("reason: must be given to release the kill switch")
        change = KillSwitchChange(
            ts=now_ms(self._clock),
            engaged=request.kill_switch,
            reason=request.reason or "engaged without a reason",
            actor=caller_name() or request.actor or "unnamed",
        )
        await self._kill_switch.set(change)
        self._metrics.show_kill_switch(change.engaged)
        _log.warning(
            "kill switch engaged" if change.engaged else "kill switch released",
            actor=change.actor, reason=change.reason,
        )  # fmt: skip
        return guard_pb2.SetKillSwitchResponse(
            kill_switch=change.engaged, reason=change.reason, actor=change.actor, ts_ms=change.ts
        )

    async def GetReadiness(
        self,
        request: guard_pb2.GetReadinessRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.GetReadinessRequest, guard_pb2.GetReadinessResponse
        ],
    ) -> guard_pb2.GetReadinessResponse:
        """Every instrument's readiness."""
        view = await self._reader.view()
        markets = [view.markets[i] for i in self._instruments if i in view.markets]
        return guard_pb2.GetReadinessResponse(
            readiness=[readiness_message(m, readiness(view, m, self._limits)) for m in markets]
        )

    async def PlanDrain(
        self,
        request: guard_pb2.PlanDrainRequest,
        context: grpc.aio.ServicerContext[guard_pb2.PlanDrainRequest, guard_pb2.PlanDrainResponse],
    ) -> guard_pb2.PlanDrainResponse:
        """What a drain would close."""
        limits = drain_limits_of(request.buffer_pct, request.min_units)
        return plan_message(*await self._drain.plan(limits))

    async def ExecuteDrain(
        self,
        request: guard_pb2.ExecuteDrainRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.ExecuteDrainRequest, guard_pb2.ExecuteDrainResponse
        ],
    ) -> guard_pb2.ExecuteDrainResponse:
        """Close what is over the cap."""
        limits = drain_limits_of(request.buffer_pct, request.min_units)
        closed, after = await self._drain.execute(
            request.drain_id, limits, request.instrument or None
        )
        return drained_message(request.drain_id, closed, after, now_ms(self._clock))

    async def CheckEntry(
        self,
        request: guard_pb2.CheckEntryRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.CheckEntryRequest, guard_pb2.CheckEntryResponse
        ],
    ) -> guard_pb2.CheckEntryResponse:
        """One instrument's readiness."""
        if request.instrument not in self._instruments:
            raise UnknownInstrumentError(request.instrument, self._instruments)
        view = await self._reader.view()
        market = view.markets.get(request.instrument)
        if market is None:
            raise UnknownInstrumentError(request.instrument, tuple(view.markets))
        return guard_pb2.CheckEntryResponse(
            readiness=readiness_message(market, readiness(view, market, self._limits))
        )
