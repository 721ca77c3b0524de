"""GuardService: each RPC checks, converts, calls, converts."""

import grpc
from sep.guard.v1 import guard_pb2, guard_pb2_grpc
from sep_kit.clock import Clock, now_ms
from sep_kit.grpc.call_context import caller_name

from sep_guard.adapters.remade_decisions import remake
from sep_guard.application.drain import Drain
from sep_guard.application.flatten import Flatten, Flattened
from sep_guard.application.instrument_locks import InstrumentLocks
from sep_guard.application.kill_switch import KillSwitchControl
from sep_guard.application.queries import GuardQueries
from sep_guard.application.reconcile import Reconciler
from sep_guard.convert import (
    budget_message,
    cycle_message,
    drain_limits_of,
    drained_message,
    flattened_message,
    kill_switch_change_message,
    kill_switch_message,
    limits_message,
    lock_message,
    plan_message,
    readiness_message,
    remade_message,
)


class GuardServicer(guard_pb2_grpc.GuardServiceServicer):
    """The gRPC side of the guard."""

    def __init__(
        self,
        queries: GuardQueries,
        reconciler: Reconciler,
        drain: Drain,
        flatten: Flatten,
        locks: InstrumentLocks,
        kill_switch: KillSwitchControl,
        clock: Clock,
    ) -> None:
        self._queries = queries
        self._reconciler = reconciler
        self._drain = drain
        self._flatten = flatten
        self._locks = locks
        self._kill_switch = kill_switch
        self._clock = clock

    async def GetBudget(
        self,
        request: guard_pb2.GetBudgetRequest,
        context: grpc.aio.ServicerContext[guard_pb2.GetBudgetRequest, guard_pb2.GetBudgetResponse],
    ) -> guard_pb2.GetBudgetResponse:
        """The budget from the account as it is now."""
        return budget_message(await self._queries.budget())

    async def Reconcile(
        self,
        request: guard_pb2.ReconcileRequest,
        context: grpc.aio.ServicerContext[guard_pb2.ReconcileRequest, guard_pb2.ReconcileResponse],
    ) -> guard_pb2.ReconcileResponse:
        """Run one cycle now."""
        return cycle_message(await self._reconciler.reconcile(dry_run=request.dry_run))

    async def GetKillSwitch(
        self,
        request: guard_pb2.GetKillSwitchRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.GetKillSwitchRequest, guard_pb2.GetKillSwitchResponse
        ],
    ) -> guard_pb2.GetKillSwitchResponse:
        """The state of the kill switch and its last change."""
        return kill_switch_message(await self._kill_switch.read())

    async def SetKillSwitch(
        self,
        request: guard_pb2.SetKillSwitchRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.SetKillSwitchRequest, guard_pb2.SetKillSwitchResponse
        ],
    ) -> guard_pb2.SetKillSwitchResponse:
        """Engage or release the kill switch; a release needs a reason."""
        change = await self._kill_switch.set(
            engaged=request.kill_switch,
            reason=request.reason,
            actor=caller_name() or request.actor,
            acknowledge_breaker=request.acknowledge_breaker,
        )
        return kill_switch_change_message(change)

    async def GetReadiness(
        self,
        request: guard_pb2.GetReadinessRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.GetReadinessRequest, guard_pb2.GetReadinessResponse
        ],
    ) -> guard_pb2.GetReadinessResponse:
        """Readiness of every instrument."""
        found = await self._queries.readiness()
        return guard_pb2.GetReadinessResponse(readiness=map(readiness_message, found))

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

    async def GetRiskLimits(
        self,
        request: guard_pb2.GetRiskLimitsRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.GetRiskLimitsRequest, guard_pb2.GetRiskLimitsResponse
        ],
    ) -> guard_pb2.GetRiskLimitsResponse:
        """Each risk limit, observed and allowed."""
        return limits_message(await self._queries.limits())

    async def ListLocks(
        self,
        request: guard_pb2.ListLocksRequest,
        context: grpc.aio.ServicerContext[guard_pb2.ListLocksRequest, guard_pb2.ListLocksResponse],
    ) -> guard_pb2.ListLocksResponse:
        """The locks that hold now."""
        return guard_pb2.ListLocksResponse(
            locks=[lock_message(lock) for lock in await self._locks.running()]
        )

    async def SetLock(
        self,
        request: guard_pb2.SetLockRequest,
        context: grpc.aio.ServicerContext[guard_pb2.SetLockRequest, guard_pb2.SetLockResponse],
    ) -> guard_pb2.SetLockResponse:
        """Lock or unlock an instrument by hand."""
        actor = caller_name() or "unnamed"
        if request.locked:
            until = int(request.until_ms) if request.HasField("until_ms") else None
            held = await self._locks.lock(request.instrument, request.reason, actor, until)
        else:
            held = await self._locks.unlock(request.instrument, request.reason, actor)
        return guard_pb2.SetLockResponse(locks=[lock_message(lock) for lock in held])

    async def Flatten(
        self,
        request: guard_pb2.FlattenRequest,
        context: grpc.aio.ServicerContext[guard_pb2.FlattenRequest, guard_pb2.FlattenResponse],
    ) -> guard_pb2.FlattenResponse:
        """Engage the kill switch and close what the stack manages."""
        if request.dry_run:
            _, closes = await self._flatten.plan(
                include_manual=request.include_manual, only=request.instrument
            )
            planned = Flattened(id=request.flatten_id, closed=(), remaining=closes)
            return flattened_message(planned, now_ms(self._clock))
        done = await self._flatten.execute(
            reason=request.reason,
            actor=caller_name() or "unnamed",
            include_manual=request.include_manual,
            flatten_id=request.flatten_id,
            only=request.instrument,
        )
        return flattened_message(done, now_ms(self._clock))

    async def CheckEntry(
        self,
        request: guard_pb2.CheckEntryRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.CheckEntryRequest, guard_pb2.CheckEntryResponse
        ],
    ) -> guard_pb2.CheckEntryResponse:
        """Readiness of one instrument."""
        found = await self._queries.check_entry(request.instrument)
        return guard_pb2.CheckEntryResponse(readiness=readiness_message(found))

    async def RemakeDecision(
        self,
        request: guard_pb2.RemakeDecisionRequest,
        context: grpc.aio.ServicerContext[
            guard_pb2.RemakeDecisionRequest, guard_pb2.RemakeDecisionResponse
        ],
    ) -> guard_pb2.RemakeDecisionResponse:
        """Make a recorded decision again."""
        return remade_message(remake(request.record))
