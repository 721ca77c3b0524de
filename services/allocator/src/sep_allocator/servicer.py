"""AllocatorService: checks the request, reads the store, converts the result."""

import grpc
from sep.allocator.v1 import allocator_pb2, allocator_pb2_grpc
from sep_fx.sessions import SessionCalendar
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import CorruptRecordError

from sep_allocator.convert import ranked_message
from sep_allocator.domain.allocation import AllocationLimits, Gates, StoredWeights
from sep_allocator.domain.ranking import rank
from sep_allocator.ports import AllocatorStore


class AllocatorServicer(allocator_pb2_grpc.AllocatorServiceServicer):
    """Serves reads from the store, so that all replicas give the same response."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        calendar: SessionCalendar,
        limits: AllocationLimits,
        store: AllocatorStore,
        clock: Clock,
    ) -> None:
        self._instruments = tuple(sorted(instruments))
        self._calendar = calendar
        self._limits = limits
        self._store = store
        self._clock = clock

    async def ListRanking(
        self,
        request: allocator_pb2.ListRankingRequest,
        context: grpc.aio.ServicerContext[
            allocator_pb2.ListRankingRequest, allocator_pb2.ListRankingResponse
        ],
    ) -> allocator_pb2.ListRankingResponse:
        """List every instrument, open sessions first, then by score."""
        at = now_ms(self._clock) // 1000
        signals = await self._store.latest_signals(self._instruments)
        weights, gates = await self._weights(), await self._gates()
        ranking = rank(
            self._instruments,
            {i: s.window for i, s in signals.items()},
            {i: self._calendar.state(i, at) for i in self._instruments},
            weights.weights if weights else {},
            self._limits.score_weights,
        )
        response = allocator_pb2.ListRankingResponse(
            ranking=[ranked_message(r, signals.get(r.instrument), gates, at) for r in ranking]
        )
        if weights is not None and weights.ts:
            response.weights_ts_ms = weights.ts
        return response

    async def GetAllocationStatus(
        self,
        request: allocator_pb2.GetAllocationStatusRequest,
        context: grpc.aio.ServicerContext[
            allocator_pb2.GetAllocationStatusRequest, allocator_pb2.GetAllocationStatusResponse
        ],
    ) -> allocator_pb2.GetAllocationStatusResponse:
        """Return the weights, their age and the cooldowns of the gates blob."""
        now = now_ms(self._clock)
        weights, gates = await self._weights(), await self._gates()
        response = allocator_pb2.GetAllocationStatusResponse(
            top_k=self._limits.top_k,
            held=weights is None or weights.held,
            held_reason="NO_WEIGHTS" if weights is None else weights.held_reason,
        )
        if weights is not None:
            response.weights.update(weights.weights)
            response.total_allocation = sum(weights.weights.values())
            if weights.ts:
                response.weights_age_seconds = (now - weights.ts) / 1000
        if gates is not None:
            response.blob_age_seconds = (now - gates.ts) / 1000
            response.cooldowns.extend(sorted(i for i, c in gates.cooldowns.items() if c))
        return response

    async def _weights(self) -> StoredWeights | None:
        try:
            return await self._store.read_weights()
        except CorruptRecordError:
            return None

    async def _gates(self) -> Gates | None:
        try:
            return await self._store.read_gates()
        except CorruptRecordError:
            return None
