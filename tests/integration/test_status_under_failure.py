"""Status, health and metrics while parts of the stack are down, including the store."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from sep.ops.v1 import ops_pb2, ops_pb2_grpc
from sep_allocator.app import build
from sep_allocator.settings import AllocatorSettings
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer


@pytest.fixture
async def ops(valkey: ValkeyServer) -> AsyncIterator[Any]:
    """The OpsService of an allocator without peers."""
    unreachable = {
        f"{n}_addr": "127.0.0.1:1"
        for n in ("gateway", "evaluator", "allocator", "guard", "journal")
    }
    settings = AllocatorSettings.model_validate(
        {"valkey_url": valkey.url, "grpc_listen": "127.0.0.1:0", **unreachable}
    )
    async with (
        running_service("allocator", settings, build) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield ops_pb2_grpc.OpsServiceStub(channel)


def states(parts: Any) -> dict[str, str]:
    return {p.name: ops_pb2.PartState.Name(p.state) for p in parts}


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_status_responds_without_the_store_and_assumes_the_worst(
    ops: Any, valkey: ValkeyServer, how: str
) -> None:

    async def serves() -> Any:
        # A machine that stalls may make the store miss the 1.5 s that it has.
        status = await ops.GetStatus(ops_pb2.GetStatusRequest(), timeout=30)
        assert states(status.parts)["valkey"] == "PART_STATE_SERVING"
        assert {f.verdict for f in status.freshness} == {"missing"}
        return status

    before = await eventually(serves)
    getattr(valkey, how)()
    try:
        after = await ops.GetStatus(ops_pb2.GetStatusRequest(), timeout=30)
    finally:
        valkey.thaw()
    assert states(after.parts) == {
        **dict.fromkeys(
            ("gateway", "evaluator", "allocator", "guard", "journal"), "PART_STATE_UNREACHABLE"
        ),
        "valkey": "PART_STATE_UNREACHABLE",
    }
    assert after.modes.kill_switch is True
    assert {f.verdict for f in after.freshness} == {"unknown"}
    assert [f.name for f in after.freshness] == [f.name for f in before.freshness]
    assert (after.broker.connected, after.broker.error) == (False, "the store does not answer")
    assert not after.leases


async def test_health_names_the_parts_that_are_down_in_time(ops: Any, valkey: ValkeyServer) -> None:
    valkey.freeze()
    try:

        async def names_the_store_in_time() -> bool:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ops.GetHealth(ops_pb2.GetHealthRequest(), timeout=5)
            # Not in time if the machine stalls.
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            return "valkey" in str(caught.value.details())

        await eventually(names_the_store_in_time)
    finally:
        valkey.thaw()


async def test_metrics_contain_the_reachable_services(ops: Any) -> None:
    response = await ops.GetMetrics(ops_pb2.GetMetricsRequest(), timeout=30)
    assert response.exposition.content_type.startswith("text/plain")
    own = await ops.ScrapeMetrics(ops_pb2.ScrapeMetricsRequest(), timeout=30)
    assert own.service == "allocator"
    assert "sep_grpc_requests_total" in own.exposition
    assert response.exposition.data.decode() == ""  # no other service is reachable
