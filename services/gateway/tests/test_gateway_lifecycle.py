"""Start without broker or store, store ownership, the published link state, metrics."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_kit.settings.loading import EX_CONFIG
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import read_document
from sep_kit.store.records import BrokerLinkRecord
from sep_paper_broker.app import RunningBroker, serve_paper_broker
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.calls import call
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer, free_port


async def test_gateway_waits_for_the_broker_at_start(start_gateway: Any, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with start_gateway(ready=False, OANDA_API_URL=url, OANDA_STREAM_URL=url) as gateway:
        assert not await gateway.serves()
        settings = PaperSettings(port=port, token="a-secret-broker-token")
        async with serve_paper_broker(settings, clock=time.time_ns):
            await eventually(gateway.serves)


async def test_gateway_waits_for_the_store_at_start(
    start_gateway: Any, valkey: ValkeyServer
) -> None:
    valkey.kill()
    async with start_gateway(ready=False, VALKEY_URL=valkey.url) as gateway:
        assert not await gateway.serves()
        valkey.start()
        await eventually(gateway.serves)


@pytest.mark.parametrize(
    ("recorded", "named"),
    [
        ({"environment": "paper", "account_id": "101-001-0000001-002"}, "101-001-0000001-002"),
        ({"environment": "practice", "account_id": "101-001-0000001-001"}, "practice"),
        ("no account", "malformed"),
    ],
)
async def test_gateway_refuses_to_start_on_the_state_of_another_account(
    gateway_settings: Any, store: Valkey, recorded: object, named: str
) -> None:
    """Otherwise it would trade on another market's candles and gates."""
    await store.set(keys.STORE_ACCOUNT, json.dumps(recorded))
    settings = gateway_settings()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sep_gateway",
        env={
            "PATH": os.environ["PATH"],
            "GRPC_LISTEN": "127.0.0.1:0",
            "VALKEY_URL": settings.valkey_url,
            "OANDA_API_URL": settings.oanda_api_url,
            "OANDA_STREAM_URL": settings.oanda_stream_url,
            "OANDA_API_TOKEN": settings.oanda_api_token.get_secret_value(),
        },
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == EX_CONFIG
    assert b"start refused" in output
    assert named.encode() in output
    assert b"Traceback" not in output
    assert json.loads(await reply(store.get(keys.STORE_ACCOUNT))) == recorded


async def test_wiped_store_is_claimed_again(gateway: Any, store: Valkey) -> None:
    await eventually(lambda: reply(store.get(keys.STORE_ACCOUNT)))
    await store.flushdb()
    recorded = json.loads(await eventually(lambda: reply(store.get(keys.STORE_ACCOUNT))))
    assert recorded == {"environment": "paper", "account_id": "101-001-0000001-001"}


async def test_broker_link_state_is_published(
    start_gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    async def link(*, connected: bool) -> BrokerLinkRecord:
        found = await read_document(store, BrokerLinkRecord, keys.BROKER_LINK)
        assert found is not None
        assert found.connected is connected
        return found

    async with start_gateway(OANDA_TIMEOUT_SEC="1") as gateway:
        up = await eventually(lambda: link(connected=True))
        assert up.last_contact_ms is not None
        assert up.error == ""
        fault = broker.faults.add({"kind": "reset_before", "path": "summary"})
        down = await eventually(lambda: link(connected=False))
        assert down.last_contact_ms is not None
        assert down.last_contact_ms >= up.last_contact_ms
        assert "summary" in down.error
        assert (await gateway.metrics("sep_broker_connected"))["sep_broker_connected"] == 0
        broker.faults.remove(fault.id)
        await eventually(lambda: link(connected=True))


async def test_requests_are_counted_by_endpoint_and_status(
    gateway: Any, broker: RunningBroker
) -> None:
    await call(gateway.stub.ListPositions, pb.ListPositionsRequest(), peer="gateway")
    broker.faults.add({"kind": "status", "status": 503, "path": "openPositions", "times": 1})
    await call(gateway.stub.ListPositions, pb.ListPositionsRequest(), peer="gateway")
    counted = await gateway.metrics("sep_oanda_requests_total")
    label = 'sep_oanda_requests_total{endpoint="openPositions",status="%s"}'
    assert counted[label % "2xx"] == 2
    assert counted[label % "5xx"] == 1
    assert await gateway.metrics("sep_oanda_latency_seconds_count")
