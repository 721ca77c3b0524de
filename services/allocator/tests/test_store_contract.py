"""Contract of ``AllocatorStore``, held by its in-memory twin and by its Valkey adapter."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from sep_allocator.adapters.valkey_store import ValkeyAllocatorStore
from sep_allocator.domain.allocation import NOTHING, Allocation, Gates, HoldReason, ManagedUnits
from sep_allocator.domain.score import Signal, Window
from sep_allocator.ports import AllocatorStore
from sep_kit.errors import CorruptRecordError, NotTheWriterError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease
from sep_kit.store.records import GatesBlob, SignalRecord
from sep_kit.store.signals import queue_signal
from sep_testing.clock import FakeClock

from .memory_store import InMemoryAllocatorStore

EUR, GBP = "EUR_USD", "GBP_USD"
GATES = Gates(7, {EUR: True, GBP: False}, {EUR: False, GBP: True}, {EUR: [], GBP: ["COOLDOWN"]})
SIGNAL = Signal(
    window=Window(coherence=0.6, stability=0.9, entropy=0.8, rupture=0.1, hazard=0.05),
    sigma_eff=0.001,
    slope_bps=2.5,
)
MADE = Allocation(
    ts=8, gates_ts=7, weights={EUR: 0.1}, scores={EUR: 0.7, GBP: 0.2}, held=False, held_reason=None
)
HELD = Allocation(
    ts=8,
    gates_ts=7,
    weights={EUR: 0.1},
    scores={EUR: 0.7},
    held=True,
    held_reason=HoldReason.BLOB_STALE,
)
CONTESTED = Allocation(
    ts=8,
    gates_ts=7,
    weights={EUR: 0.1},
    scores={EUR: 0.7},
    held=False,
    held_reason=None,
    retained=(EUR,),
    challenges={(GBP, EUR): 2},
    displaced=(GBP,),
    switched_ms=1_700_000_000_000,
)

Fields = dict[
    bytes | bytearray | memoryview | str | int | float,
    bytes | bytearray | memoryview | str | int | float,
]


class Backend(Protocol):
    """One implementation of the store, and how its surroundings change."""

    @property
    def store(self) -> AllocatorStore: ...
    async def put_gates(self, gates: Gates) -> None: ...
    async def corrupt_gates(self) -> None: ...
    async def corrupt_weights(self) -> None: ...
    async def put_signal(self, instrument: str, signal: Signal) -> None: ...
    async def lose_lease(self) -> None: ...
    async def notifications(self) -> list[int]: ...


class InMemoryBackend:
    def __init__(self) -> None:
        self.store = InMemoryAllocatorStore()

    async def put_gates(self, gates: Gates) -> None:
        self.store.gates = gates

    async def corrupt_gates(self) -> None:
        self.store.gates = CorruptRecordError("malformed", key=keys.GATES_BLOB)

    async def corrupt_weights(self) -> None:
        self.store.allocation = CorruptRecordError("malformed", key=keys.ALLOCATION_WEIGHTS)

    async def put_signal(self, instrument: str, signal: Signal) -> None:
        self.store.signals = {**self.store.signals, instrument: signal}

    async def lose_lease(self) -> None:
        self.store.is_writer = False

    async def notifications(self) -> list[int]:
        return self.store.notified


class ValkeyBackend:
    def __init__(self, valkey: Valkey, clock: FakeClock) -> None:
        self._valkey, self._clock = valkey, clock
        self.lease = Lease(valkey, "allocator", "a", clock)
        self.store = ValkeyAllocatorStore(valkey, self.lease)
        self.channel = valkey.pubsub()

    async def put_gates(self, gates: Gates) -> None:
        blob = GatesBlob(
            ts=gates.ts,
            gates={i: int(g) for i, g in gates.gates.items()},
            cooldowns={i: int(c) for i, c in gates.cooldowns.items()},
            bufs=dict.fromkeys(gates.gates, 0.1),
            reasons={i: list(r) for i, r in gates.reasons.items()},
        )
        await reply(self._valkey.set(keys.GATES_BLOB, blob.model_dump_json()))

    async def corrupt_gates(self) -> None:
        await reply(self._valkey.set(keys.GATES_BLOB, "{"))

    async def corrupt_weights(self) -> None:
        await reply(self._valkey.set(keys.ALLOCATION_WEIGHTS, "{"))

    async def put_signal(self, instrument: str, signal: Signal) -> None:
        window = signal.window
        record = SignalRecord.model_validate(
            {
                "ts_ns": 1,
                "price": 1.1,
                "metrics": {
                    "coherence": window.coherence,
                    "stability": window.stability,
                    "entropy": window.entropy,
                    "rupture": window.rupture,
                },
                "coeffs": {"sigma_eff": signal.sigma_eff, "lambda": window.hazard},
                "slope_bps": signal.slope_bps,
            }
        )
        async with self._valkey.pipeline() as pipe:
            queue_signal(pipe, instrument, record, 60)
            await pipe.execute()

    async def lose_lease(self) -> None:
        """Another replica takes the lease; this one does not know yet."""
        await reply(self._valkey.delete(keys.lease("allocator")))
        await Lease(self._valkey, "allocator", "b", self._clock).renew()

    async def notifications(self) -> list[int]:
        found = []
        async with asyncio.timeout(30):
            while (message := await self.channel.get_message(timeout=0.2)) is not None:
                if message["type"] == "message":
                    found.append(int(message["data"]))
        return found


@pytest.fixture(params=["memory", "valkey"])
async def backend(
    request: pytest.FixtureRequest, store: Valkey, clock: FakeClock
) -> AsyncIterator[Backend]:
    if request.param == "memory":
        yield InMemoryBackend()
        return
    backend = ValkeyBackend(store, clock)
    await backend.lease.renew()
    async with backend.channel as channel:
        await channel.subscribe(keys.WEIGHTS_CHANNEL)
        yield backend


async def test_an_empty_store_has_no_gates_signals_or_weights(backend: Backend) -> None:
    assert await backend.store.read_gates() is None
    assert await backend.store.latest_signals([EUR]) == {}
    assert await backend.store.read_allocation() == NOTHING
    assert await backend.store.read_weights() is None


async def test_gates_and_signals_are_read_as_published(backend: Backend) -> None:
    await backend.put_gates(GATES)
    await backend.put_signal(EUR, SIGNAL)
    assert await backend.store.read_gates() == GATES
    assert await backend.store.latest_signals([EUR, GBP]) == {EUR: SIGNAL}


@pytest.mark.parametrize("allocation", [MADE, HELD, CONTESTED], ids=["made", "held", "contested"])
async def test_published_weights_are_read_back(backend: Backend, allocation: Allocation) -> None:
    await backend.store.publish_weights(allocation, top_k=3, notify=True)
    assert await backend.store.read_allocation() == allocation
    stored = await backend.store.read_weights()
    assert stored is not None
    assert (stored.ts, stored.weights, stored.held) == (8, {EUR: 0.1}, allocation.held)
    assert stored.held_reason == (allocation.held_reason or "")


async def test_subscribers_are_notified_only_on_request(backend: Backend) -> None:
    await backend.store.publish_weights(MADE, top_k=3, notify=True)
    await backend.store.publish_weights(HELD, top_k=3, notify=False)
    assert await backend.notifications() == [MADE.ts]


async def test_malformed_documents_are_errors(backend: Backend) -> None:
    await backend.corrupt_gates()
    await backend.corrupt_weights()
    for read in (
        backend.store.read_gates,
        backend.store.read_allocation,
        backend.store.read_weights,
    ):
        with pytest.raises(CorruptRecordError):
            await read()


async def test_a_replica_without_the_lease_writes_nothing(backend: Backend) -> None:
    await backend.store.publish_weights(MADE, top_k=3, notify=True)
    await backend.lose_lease()
    with pytest.raises(NotTheWriterError):
        await backend.store.publish_weights(HELD, top_k=3, notify=True)
    assert await backend.store.read_allocation() == MADE
    assert await backend.notifications() == [MADE.ts]


async def test_an_unknown_hold_reason_can_be_reported_but_not_held(store: Valkey) -> None:
    """Weights of a newer version: only the Valkey adapter can meet them."""
    adapter = ValkeyAllocatorStore(store, Lease(store, "allocator", "a", FakeClock()))
    raw = (
        '{"ts":1,"gates_ts":null,"weights":{},"scores":{},"top_k":3,"held":true,"held_reason":"X"}'
    )
    await reply(store.set(keys.ALLOCATION_WEIGHTS, raw))
    stored = await adapter.read_weights()
    assert stored is not None
    assert stored.held_reason == "X"
    with pytest.raises(CorruptRecordError, match="held_reason"):
        await adapter.read_allocation()


async def test_managed_units_are_read_as_the_guard_writes_them(store: Valkey) -> None:
    adapter = ValkeyAllocatorStore(store, Lease(store, "allocator", "a", FakeClock()))
    assert await adapter.read_managed_units() is None
    units: Fields = {EUR: "1500", GBP: "0", "ts": "7"}
    await reply(store.hset(keys.MANAGED_UNITS, mapping=units))
    found = await adapter.read_managed_units()
    assert found == ManagedUnits(ts=7, instruments=frozenset({EUR}))


@pytest.mark.parametrize("fields", [{"ts": "x"}, {EUR: "1"}, {EUR: "much", "ts": "7"}])
async def test_damaged_managed_units_count_as_unknown(store: Valkey, fields: Fields) -> None:
    adapter = ValkeyAllocatorStore(store, Lease(store, "allocator", "a", FakeClock()))
    await reply(store.hset(keys.MANAGED_UNITS, mapping=fields))
    assert await adapter.read_managed_units() is None
    await reply(store.set(keys.MANAGED_UNITS, "not a hash"))
    assert await adapter.read_managed_units() is None
