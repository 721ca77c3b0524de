"""Lifecycle of a service.

Start: settings, gRPC as NOT_SERVING, dependencies, loops, SERVING.
Stop: NOT_SERVING, stop loops, finish running calls, release the lease, close connections.
"""

import asyncio
import contextlib
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import uvloop
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from sep.ops.v1 import ops_pb2_grpc

from sep_kit.admission import access_policy, call_limits, open_key_ring
from sep_kit.cancellation import raise_if_cancelled
from sep_kit.clock import Clock, SystemClock
from sep_kit.errors import SepError
from sep_kit.grpc.access import AccessPolicy
from sep_kit.grpc.client import open_channel
from sep_kit.grpc.keys import KeyRing
from sep_kit.grpc.response_cache import ResponseCache
from sep_kit.grpc.server import OPS_SERVICE, GrpcServer, Handler
from sep_kit.grpc.tls import TlsFiles
from sep_kit.health_checks import BackgroundTask, Check, first_fault
from sep_kit.holder_health import GRACE_S, HolderHealth
from sep_kit.logging import configure_logging, get_logger
from sep_kit.loop import LoopMetrics, PeriodicLoop
from sep_kit.ops.servicer import OpsServicer, StackView
from sep_kit.ops.status import Limits
from sep_kit.refusal import StartRefusedError
from sep_kit.settings.in_force import settings_in_force
from sep_kit.settings.loading import EX_CONFIG, check_settings_or_exit
from sep_kit.settings.shared.access import AccessKnobs
from sep_kit.settings.stack import StackSettings
from sep_kit.store import stored_types
from sep_kit.store.connection import Valkey, open_valkey
from sep_kit.store.lease import RENEW_SECONDS, Lease
from sep_kit.store.stored_types import StoredTypes

_log = get_logger("Service")

_GRACE_S = 2.0
_RETRY_S = 1.0
_CHECK_EVERY_S = 1.0
_HOLDER_GRACE_S = GRACE_S


@dataclass(frozen=True, slots=True)
class Context:
    """What a service is built from: store, clock, metrics, lease, keys and TLS files."""

    name: str
    store: Valkey
    clock: Clock
    registry: CollectorRegistry
    loops: LoopMetrics
    lease: Lease
    keys: KeyRing | None = None
    tls: TlsFiles | None = None

    def open_channel(self, address: str) -> grpc.aio.Channel:
        """A channel to another service that sends the internal key."""
        return open_channel(address, self.keys, self.tls)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service consists of.

    Args:
        loops: run from the end of ``prepare`` until the service stops.
        prepare: runs before the loops and is retried until it succeeds once; ends the service
            by raising ``StartRefusedError``.
        checks: health checks by name.
        close: runs last, in order.
        stored: the type of each key that the service writes; other types are set aside.
    """

    handlers: Sequence[Handler]
    loops: Sequence[BackgroundTask] = ()
    prepare: Callable[[], Awaitable[None]] | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    close: Sequence[Callable[[], Awaitable[Any]]] = ()
    stored: Mapping[str, str] = field(default_factory=dict)


class Build(Protocol):
    """Builds a service from its settings and context."""

    def __call__(self, settings: Any, context: Context) -> Parts:
        """The service's parts."""
        ...


def main(name: str, settings_kind: type[StackSettings], build: Build) -> None:
    """Run a service until SIGTERM or SIGINT. Exits with code 78 if its settings are invalid."""
    checked = check_settings_or_exit(settings_kind)
    settings = checked.settings
    configure_logging(name, settings.log_format, settings.log_level)
    for warning in checked.warnings:
        # Warnings about settings that all services share are logged by one of them.
        if not warning.shared or name == "gateway":
            _log.warning("settings", warning=warning.text)
    try:
        uvloop.run(_run_until_signalled(name, settings, build))
    except BaseExceptionGroup as group:
        if group.subgroup(StartRefusedError) is None:
            raise
        # The reason has been logged.
        raise SystemExit(EX_CONFIG) from None


async def _run_until_signalled(name: str, settings: StackSettings, build: Build) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_service(name, settings, build, SystemClock(), stop)


async def run_service(
    name: str,
    settings: StackSettings,
    build: Build,
    clock: Clock,
    stop: asyncio.Event,
    started: Callable[[int], None] | None = None,
    policy: Callable[[AccessKnobs, KeyRing], AccessPolicy | None] = access_policy,
) -> None:
    """Run a service until ``stop`` is set.

    Args:
        policy: decides who may call what; everyone may call everything where it returns None.
        started: called with the port once the server listens (still NOT_SERVING).
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    store = open_valkey(settings.valkey_url)
    holder = f"{socket.gethostname()}:{uuid.uuid4().hex[:8]}"
    lease = Lease(store, name, holder, clock)
    keys = open_key_ring(name, settings, registry)
    loops, tls = LoopMetrics(registry), settings.tls()
    context = Context(name, store, clock, registry, loops, lease, keys, tls)
    parts = build(settings, context)
    blob_s = settings.gates_blob_max_age_sec  # and of the weights
    view = StackView(
        name,
        settings.peers(),
        settings.hotband_pairs,
        settings.candle_granularity,
        Limits(blob_s=blob_s, weights_s=blob_s, signal_s=settings.max_bar_age_s),
        settings,
    )
    ops = OpsServicer(
        view,
        store,
        registry,
        clock,
        context.open_channel,
        is_writer=lambda: lease.held,
        key_file_faults=keys.faults,
        settings=settings_in_force(settings),
    )
    server = GrpcServer(
        [*parts.handlers, Handler(OPS_SERVICE, ops, ops_pb2_grpc.add_OpsServiceServicer_to_server)],
        registry,
        policy(settings, keys),
        ResponseCache(clock) if settings.api_keep_answers else None,
        tls,
        call_limits(settings),
    )
    async with contextlib.AsyncExitStack() as closing:
        for close in reversed((*parts.close, ops.close, store.aclose)):
            closing.push_async_callback(close)
        port = await server.start(settings.grpc_listen or settings.peers()[name])
        _log.info("listening", port=port)
        if started is not None:
            started(port)
        await _work_until(stop, parts, context, server)
    _log.info("stopped")


async def _work_until(
    stop: asyncio.Event, parts: Parts, context: Context, server: GrpcServer
) -> None:
    work = asyncio.create_task(_work(parts, context, server))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await server.set_serving(serving=False)
        work.cancel()
        await asyncio.wait([work])
        await server.stop(_GRACE_S)
        with contextlib.suppress(SepError):
            await context.lease.release()
    if not work.cancelled():
        # An error that ended the work ends the service too, after the orderly stop.
        work.result()


async def _work(parts: Parts, context: Context, server: GrpcServer) -> None:
    serving = Gauge(
        "sep_serving", "1 while this service does its work", ["service"], registry=context.registry
    )
    serving.labels(context.name).set(0)
    health = HolderHealth(asyncio.get_running_loop().time, _HOLDER_GRACE_S)
    context.lease.works = health.works
    context.lease.on_acquired(health.acquired)
    renewal = PeriodicLoop("lease", context.lease.renew, RENEW_SECONDS, context.loops)
    types = StoredTypes(context.store, context.lease, parts.stored)
    repair = PeriodicLoop(
        "stored_types", types.tick, stored_types.INTERVAL_S, context.loops, vital=False
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(renewal.run())
        tasks.create_task(repair.run())
        if parts.prepare is not None:
            await _until_prepared(parts.prepare)
        health.begun([p for p in parts.loops if isinstance(p, PeriodicLoop) and p.vital])
        for loop in parts.loops:
            tasks.create_task(loop.run())
        tasks.create_task(_watch(parts, server, serving.labels(context.name)))


async def _until_prepared(prepare: Callable[[], Awaitable[None]]) -> None:
    waiting_for = ""
    while True:
        try:
            await prepare()
        except StartRefusedError as error:
            _log.error("start refused", reason=str(error))
            raise
        except SepError as error:
            # Logged once per cause: a dependency may be down for hours.
            if str(error) != waiting_for:
                waiting_for = str(error)
                _log.warning("waiting", reason=error.reason, error=waiting_for)
            raise_if_cancelled()
            await asyncio.sleep(_RETRY_S)
            continue
        # A stop requested at this very moment would otherwise be lost.
        raise_if_cancelled()
        return


async def _watch(parts: Parts, server: GrpcServer, gauge: Gauge) -> None:
    """Update the health status: SERVING while all checks pass and all vital loops work."""
    last_fault: str | None = None
    while True:
        fault = await first_fault(parts.checks, parts.loops)
        raise_if_cancelled()
        await server.set_serving(serving=fault is None)
        gauge.set(fault is None)
        if fault != last_fault:
            last_fault = fault
            if fault is None:
                _log.info("serving")
            else:
                _log.warning("not serving", reason=fault)
        await asyncio.sleep(_CHECK_EVERY_S)
