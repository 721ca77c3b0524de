"""Fixtures: a paper broker, a gateway connected to it, and a client of the gateway."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sep.gateway.v1 import gateway_pb2_grpc
from sep.ops.v1 import ops_pb2, ops_pb2_grpc
from sep_fx.sessions import MarketCalendar
from sep_gateway.app import build
from sep_gateway.settings import GatewaySettings
from sep_kit.errors import PeerUnavailableError, StoreUnavailableError
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey, reply
from sep_paper_broker.app import RunningBroker, serve_paper_broker
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.calls import call
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

TOKEN = "a-secret-broker-token"
PAPER_ACCOUNT = "101-001-0000001-001"
LIVE = {
    "KILL_SWITCH_DIR": "/nonexistent",
    "OANDA_ACCOUNT_ID": "001-001-0000001-001",
    "OANDA_API_URL": "https://api-fxtrade.oanda.com",
    "OANDA_STREAM_URL": "https://stream-fxtrade.oanda.com",
}


@dataclass(frozen=True)
class Gateway:
    """A running gateway: its address, and a channel and stub of its service."""

    address: str
    channel: grpc.aio.Channel
    stub: Any

    async def metrics(self, name: str) -> dict[str, float]:
        """The gateway's metric series whose text begins with ``name``."""
        stub = ops_pb2_grpc.OpsServiceStub(self.channel)
        response = await call(stub.ScrapeMetrics, ops_pb2.ScrapeMetricsRequest(), peer="gateway")
        lines = [line for line in response.exposition.splitlines() if line.startswith(name)]
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}

    async def described(self) -> bool:
        """Whether the broker has described the account: until then entries are refused."""
        with suppress(PeerUnavailableError):  # of a machine that is busy
            return bool(await self.metrics("sep_account_unsupported{"))
        return False

    async def serves(self) -> bool:
        """Whether its health check reports SERVING."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        request = health_pb2.HealthCheckRequest(service="sep.gateway.v1.GatewayService")
        response = await stub.Check(request)
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


StartGateway = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
async def broker() -> AsyncIterator[RunningBroker]:
    """A paper broker whose market never closes."""
    settings = PaperSettings(
        admin=True,
        token=TOKEN,
        calendar=MarketCalendar.ALWAYS,
        heartbeat_seconds=0.3,
        poll_seconds=0.05,
    )
    async with serve_paper_broker(settings, clock=time.time_ns) as running:
        yield running


@pytest.fixture
def gateway_settings(
    shared_valkey: ValkeyServer, broker: RunningBroker
) -> Callable[..., GatewaySettings]:
    """Returns a factory of settings for a gateway connected to the broker."""

    def make(**changed: str) -> GatewaySettings:
        environment = {
            "GRPC_LISTEN": "127.0.0.1:0",
            "VALKEY_URL": shared_valkey.url,
            "OANDA_API_URL": broker.url,
            "OANDA_STREAM_URL": broker.url,
            "OANDA_API_TOKEN": TOKEN,
            "HOTBAND_PAIRS": "EUR_USD,USD_JPY",
            "CANDLE_BACKFILL_DAYS": "0.02",
            **changed,
        }
        if environment.get("OANDA_ENVIRONMENT") != "live":
            return load_settings(GatewaySettings, environment)
        # Settings of a live account need its hosts. They are checked with those, and only then
        # sent to the paper broker.
        settings = load_settings(GatewaySettings, environment | LIVE)
        return settings.model_copy(
            update={"oanda_api_url": broker.url, "oanda_stream_url": broker.url,
                    "oanda_account_id": PAPER_ACCOUNT}
        )  # fmt: skip

    return make


@pytest.fixture
def start_gateway(gateway_settings: Callable[..., GatewaySettings], store: object) -> StartGateway:
    """Starts a gateway; the store is empty before the first, the kill switch released.

    It is yielded once it accepts entries; at once with ``ready=False``, for a start that can't
    succeed yet.
    """

    @asynccontextmanager
    async def start(*, ready: bool = True, **changed: str) -> AsyncIterator[Gateway]:
        settings = gateway_settings(**changed)
        async with open_valkey(settings.valkey_url) as own:
            with suppress(StoreUnavailableError):  # some tests start without a store
                await reply(own.set(keys.KILL_SWITCH, "0"))
        async with (
            running_service("gateway", settings, build) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            gateway = Gateway(address, channel, gateway_pb2_grpc.GatewayServiceStub(channel))
            if ready:
                await eventually(gateway.described)
            yield gateway

    return start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> AsyncIterator[Gateway]:
    """A running gateway."""
    async with start_gateway() as running:
        yield running
