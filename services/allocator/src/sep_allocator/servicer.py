"""AllocatorService: checks, converts, calls, converts."""

import grpc
from sep.allocator.v1 import allocator_pb2, allocator_pb2_grpc
from sep_fx.sessions import SessionCalendar
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import read_document
from sep_kit.store.records import GatesBlob, SignalRecord, WeightsRecord
from sep_kit.store.signals import SignalStore

from sep_allocator.convert import ranked_message, window_of
from sep_allocator.domain.allocation import AllocationLimits
from sep_allocator.domain.ranking import rank


class AllocatorServicer(allocator_pb2_grpc.AllocatorServiceServicer):
    """Answers from the store, so that every replica answers the same."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        calendar: SessionCalendar,
        limits: AllocationLimits,
        store: Valkey,
        clock: Clock,
    ) -> None:
        self._instruments = tuple(sorted(instruments))
        self._calendar = calendar
        self._limits = limits
        self._store = store
        self._signals = SignalStore(store)
        self._clock = clock

    async def ListRanking(
        self,
        request: allocator_pb2.ListRankingRequest,
        context: grpc.aio.ServicerContext[
            allocator_pb2.ListRankingRequest, allocator_pb2.ListRankingResponse
        ],
    ) -> allocator_pb2.ListRankingResponse:
        """Every instrument in its place."""
        at = now_ms(self._clock) // 1000
        latest = await self._signals.latest(self._instruments)
        signals = {i: s for i, s in latest.items() if isinstance(s, SignalRecord)}
        weights, blob = await self._weights(), await self._blob()
        ranking = rank(
            self._instruments,
            {i: window_of(s) for i, s in signals.items()},
            {i: self._calendar.state(i, at) for i in self._instruments},
            weights.weights if weights else {},
            self._limits.score_weights,
        )
        answer = allocator_pb2.ListRankingResponse(
            ranking=[ranked_message(r, signals.get(r.instrument), blob, at) for r in ranking]
        )
        if weights is not None and weights.ts:
            answer.weights_ts_ms = weights.ts
        return answer

    async def GetAllocationStatus(
        self,
        request: allocator_pb2.GetAllocationStatusRequest,
        context: grpc.aio.ServicerContext[
            allocator_pb2.GetAllocationStatusRequest, allocator_pb2.GetAllocationStatusResponse
        ],
    ) -> allocator_pb2.GetAllocationStatusResponse:
        """The weights and what they rest on."""
        now = now_ms(self._clock)
        weights, blob = await self._weights(), await self._blob()
        answer = allocator_pb2.GetAllocationStatusResponse(
            top_k=self._limits.top_k,
            held=weights is None or weights.held,
            held_reason="NO_WEIGHTS" if weights is None else weights.held_reason,
        )
        if weights is not None:
            answer.weights.update(weights.weights)
            answer.total_allocation = sum(weights.weights.values())
            if weights.ts:
                answer.weights_age_seconds = (now - weights.ts) / 1000
        if blob is not None:
            answer.blob_age_seconds = (now - blob.ts) / 1000
            answer.cooldowns.extend(sorted(i for i, c in blob.cooldowns.items() if c))
        return answer

    async def _weights(self) -> WeightsRecord | None:
        try:
            return await read_document(self._store, WeightsRecord, keys.ALLOCATION_WEIGHTS)
        except CorruptRecordError:
            return None

    async def _blob(self) -> GatesBlob | None:
        try:
            return await read_document(self._store, GatesBlob, keys.GATES_BLOB)
        except CorruptRecordError:
            return None
