"""A decision log that can't be written: health reports it until it recovers."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sep_guard.adapters.valkey_store import STORED_TYPES, ValkeyGuardStore
from sep_guard.app import SERVICE, build
from sep_guard.domain.risk.breaker import BreakerCause, Trip
from sep_guard.domain.risk.events import tripped
from sep_kit.errors import StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease
from sep_kit.store.stored_types import StoredTypes
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from .harness import settings_of
from .test_broker_contract import TOKEN, serve_gateway, serve_paper

EVENT = tripped(
    "event-1",
    Trip(cause=BreakerCause.BASELINE, ts_ms=1, observed=None, allowed=None, reason="a test"),
)


async def test_a_damaged_decision_log_is_named_by_health_and_set_aside(
    store: Valkey, clock: FakeClock
) -> None:
    lease = Lease(store, "guard", "a", clock)
    await lease.renew()
    guard_store = ValkeyGuardStore(store, lease)
    await reply(store.lpush(keys.GUARD_DECISIONS, "x"))
    with pytest.raises(StoreUnavailableError):
        await guard_store.commit(lambda transaction: transaction.record_risk_event(EVENT))
    fault = await guard_store.recording()
    assert fault is not None
    assert "decisions can't be recorded" in fault
    assert await StoredTypes(store, lease, STORED_TYPES).repair() == [keys.GUARD_DECISIONS]
    await guard_store.commit(lambda transaction: transaction.save_margin_gate(True))
    assert await guard_store.recording() is None


async def serves(channel: grpc.aio.Channel) -> bool:
    stub = health_pb2_grpc.HealthStub(channel)
    response = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE))
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


async def test_a_guard_that_can_not_record_is_not_serving_until_it_can(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    async with serve_paper(TOKEN) as paper, serve_gateway(shared_valkey, paper) as gateway:
        settings = settings_of(shared_valkey.url, GATEWAY_ADDR=gateway, PM_RECONCILE_SEC="0.5")
        async with (
            running_service("guard", settings, build) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            await eventually(lambda: serves(channel))
            await reply(store.config_set("maxmemory", "1"))
            try:
                await eventually(lambda: is_down(channel))
            finally:
                await reply(store.config_set("maxmemory", "0"))
            await eventually(lambda: serves(channel))
            # In one step: the guard writes decisions all the time.
            async with store.pipeline() as replaced:
                replaced.delete(keys.GUARD_DECISIONS)
                replaced.lpush(keys.GUARD_DECISIONS, "x")
                await reply(replaced.execute())
            await store.set(keys.ALLOC_BUDGET, "x")
            await eventually(lambda: healed(store))
            await eventually(lambda: serves(channel))


async def is_down(channel: grpc.aio.Channel) -> bool:
    return not await serves(channel)


async def healed(store: Valkey) -> bool:
    moved = [keys.damaged(key) for key in (keys.GUARD_DECISIONS, keys.ALLOC_BUDGET)]
    return bool(await reply(store.exists(*moved)) == len(moved))
