"""All services in this process, with the paper broker, a real Valkey and a real Envoy."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from sep_allocator import app as allocator_app
from sep_allocator.settings import AllocatorSettings
from sep_contract import Method
from sep_evaluator import app as evaluator_app
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.sessions import MarketCalendar
from sep_gateway import app as gateway_app
from sep_gateway.settings import GatewaySettings
from sep_guard import app as guard_app
from sep_guard.settings import GuardSettings
from sep_journal import app as journal_app
from sep_journal.settings import JournalSettings
from sep_kit.settings.loading import load_settings
from sep_kit.store.connection import Valkey, open_valkey
from sep_paper_broker.app import RunningBroker, serve_paper_broker
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer, free_port

from tests.surface.methods import METHODS, REQUESTS, Json, Outcome, over_grpc, over_rest
from tests.surface.proxy import running_envoy

TOKEN = "a-secret-broker-token"
ACCOUNT = "101-001-0000001-001"
WRITE, READ, INTERNAL, OF_JOURNAL = "w" * 32, "r" * 32, "i" * 32, "j" * 32
SERVICES: dict[str, tuple[Any, Any]] = {
    "gateway": (GatewaySettings, gateway_app.build),
    "evaluator": (EvaluatorSettings, evaluator_app.build),
    "allocator": (AllocatorSettings, allocator_app.build),
    "guard": (GuardSettings, guard_app.build),
    "journal": (JournalSettings, journal_app.build),
}


def make_keys(folder: Path) -> Path:
    folder.mkdir()
    keys_of = {
        "write": WRITE,
        "read": READ,
        "internal.guard": INTERNAL,
        "internal.journal": OF_JOURNAL,
    }
    for name, key in keys_of.items():
        (folder / name).write_text(key)
        (folder / name).chmod(0o600)
    return folder


def key_for(method: Method) -> str:
    """A key that may call this method."""
    if method.access != "internal":
        return WRITE
    return OF_JOURNAL if method.callers == ("journal",) else INTERNAL


@dataclass
class RunningStack:
    """The running parts and clients of the public port; parts can be stopped."""

    http: httpx.AsyncClient
    channel: grpc.aio.Channel
    valkey: ValkeyServer
    store: Valkey
    broker: RunningBroker
    parts: dict[str, AsyncExitStack] = field(default_factory=dict)

    async def stop(self, part: str) -> None:
        """Stop a service or the broker."""
        await self.parts.pop(part).aclose()

    async def call(self, name: str, body: Json | None = None) -> tuple[Outcome, Outcome | None]:
        """The outcome of a method over gRPC, and over REST if it has a route."""
        (method,) = (m for m in METHODS.values() if m.name == name)
        key = key_for(method)
        body = REQUESTS.get(name, {}) if body is None else body
        native = await over_grpc(self.channel, method, body, key)
        return native, await over_rest(self.http, method, body, key) if method.route else None


@asynccontextmanager
async def running_stack(
    folder: Path, valkey: ValkeyServer, **changed: str
) -> AsyncIterator[RunningStack]:
    """A stack whose guard reconciles only on request.

    Args:
        changed: settings that differ from the defaults below.
    """
    addresses = {name: f"127.0.0.1:{free_port()}" for name in SERVICES}
    async with AsyncExitStack() as resources:
        paper = AsyncExitStack()
        broker = await paper.enter_async_context(
            serve_paper_broker(
                PaperSettings(token=TOKEN, calendar=MarketCalendar.ALWAYS, poll_seconds=0.05),
                clock=time.time_ns,
            )
        )
        environment = {
            "VALKEY_URL": valkey.url,
            "API_KEYS_DIR": str(make_keys(folder / "keys")),
            "KILL_SWITCH_DIR": str(folder / "halt"),
            "JOURNAL_DB_URL": f"sqlite:///{folder}/journal.db",
            "JOURNAL_POLL_SEC": "0.2",
            "API_KEEP_ANSWERS": "0",
            "EDGE_WRITE_LIMIT": "10000",
            "HOTBAND_PAIRS": "EUR_USD,USD_JPY",
            "MARKET_CALENDAR": "24x7",
            "CANDLE_GRANULARITY": "S5",
            "CANDLE_BACKFILL_DAYS": "0.02",
            "EVAL_INTERVAL_SEC": "0.5",
            "EVAL_LONG_RUN_DAYS": "1",
            "EVAL_SPAN_DAYS": "1",
            "ALLOC_INTERVAL_SEC": "0.5",
            "PM_RECONCILE_SEC": "3600",
            "OANDA_API_URL": broker.url,
            "OANDA_STREAM_URL": broker.url,
            "OANDA_API_TOKEN": TOKEN,
            "OANDA_ACCOUNT_ID": ACCOUNT,
            "OANDA_TIMEOUT_SEC": "1",
            **{f"{name.upper()}_ADDR": address for name, address in addresses.items()},
            **changed,
        }
        parts = {"broker": paper}
        resources.push_async_callback(_stop_all, parts)
        for name, (kind, build) in SERVICES.items():
            parts[name] = AsyncExitStack()
            own = {"GRPC_LISTEN": addresses[name]}
            settings = load_settings(kind, _known(kind, environment | own), Path("/nonexistent"))
            await parts[name].enter_async_context(running_service(name, settings, build))
        envoy = await resources.enter_async_context(running_envoy(folder, addresses, cache=False))
        store = await resources.enter_async_context(open_valkey(valkey.url))
        http = await resources.enter_async_context(
            httpx.AsyncClient(base_url=envoy.url, trust_env=False, timeout=60)
        )
        channel = await resources.enter_async_context(grpc.aio.insecure_channel(envoy.address))
        yield RunningStack(http, channel, valkey, store, broker, parts)


async def _stop_all(parts: dict[str, AsyncExitStack]) -> None:
    for part in ("journal", "guard", "allocator", "evaluator", "gateway", "broker"):
        if part in parts:
            await parts.pop(part).aclose()


def _known(kind: Any, environment: dict[str, str]) -> dict[str, str]:
    """The settings that this service has."""
    return {name: value for name, value in environment.items() if name.lower() in kind.model_fields}
