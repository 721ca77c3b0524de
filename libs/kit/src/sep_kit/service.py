"""The life of a service: connect, serve, do the work, stop in order.

Start: settings, gRPC up as NOT_SERVING, dependencies, loops, SERVING.
Stop: NOT_SERVING, loops end, running calls end, leases are given up, connections close.
"""

import asyncio
import contextlib
import signal
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import uvloop
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from sep.ops.v1 import ops_pb2_grpc

from sep_kit.cancellation import raise_if_cancelled
from sep_kit.clock import Clock, SystemClock
from sep_kit.errors import SepError
from sep_kit.grpc.access import AccessPolicy
from sep_kit.grpc.answers import AnswerCache
from sep_kit.grpc.client import open_channel
from sep_kit.grpc.keys import KeyRing
from sep_kit.grpc.server import OPS_SERVICE, GrpcServer, Handler
from sep_kit.grpc.tls import TlsFiles
from sep_kit.logging import configure_logging, get_logger
from sep_kit.loop import LoopMetrics, PeriodicLoop
from sep_kit.ops.servicer import OpsServicer, StackView
from sep_kit.ops.status import Limits
from sep_kit.settings.knobs import (
    AccessKnobs,
    ApiAccess,
    ConnectionKnobs,
    FreshnessKnobs,
    MarketKnobs,
    SafetyKnobs,
    TlsKnobs,
)
from sep_kit.settings.loading import EX_CONFIG, ServiceSettings, load_settings_or_exit
from sep_kit.store.connection import Valkey, open_valkey
from sep_kit.store.lease import RENEW_SECONDS, Lease

_log = get_logger("Service")

Check = Callable[[], Awaitable[str | None]]
"""Says why the service can't do its work, or None."""

_GRACE_S = 2.0
_RETRY_S = 1.0
_CHECK_EVERY_S = 1.0
_CHECK_TIMEOUT_S = 3.0


class StackSettings(
    ConnectionKnobs,
    AccessKnobs,
    TlsKnobs,
    MarketKnobs,
    FreshnessKnobs,
    SafetyKnobs,
    ServiceSettings,
):
    """What every service reads."""


class StartRefusedError(Exception):
    """What a service finds when it starts forbids it to work as it is set."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a service is wired from: everything that touches the world comes in here."""

    name: str
    store: Valkey
    clock: Clock
    registry: CollectorRegistry
    loops: LoopMetrics
    lease: Lease
    keys: KeyRing | None = None
    tls: TlsFiles | None = None

    def open_channel(self, address: str) -> grpc.aio.Channel:
        """A channel to another service, which knows by it that a service calls."""
        return open_channel(address, self.keys, self.tls)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service consists of.

    ``prepare`` runs until it succeeds once, before the loops start, or ends the service with
    ``StartRefusedError``; ``checks`` say by name what keeps the service from working;
    ``close`` runs last, in order.
    """

    handlers: Sequence[Handler]
    loops: Sequence[PeriodicLoop] = ()
    prepare: Callable[[], Awaitable[None]] | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    close: Sequence[Callable[[], Awaitable[Any]]] = ()


class Build(Protocol):
    """Wires a service; the only place where its parts meet."""

    def __call__(self, settings: Any, context: Context) -> Parts:
        """The service's parts."""
        ...


def main(name: str, settings_kind: type[StackSettings], build: Build) -> None:
    """Run a service until SIGTERM or SIGINT. Exit code 78 means that settings are at fault."""
    settings = load_settings_or_exit(settings_kind)
    configure_logging(name, settings.log_format, settings.log_level)
    try:
        uvloop.run(_run_until_signalled(name, settings, build))
    except BaseExceptionGroup as group:
        if group.subgroup(StartRefusedError) is None:
            raise
        # It has been told why.
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
) -> None:
    """Run a service until ``stop`` is set.

    Args:
        started: called with the port once the server answers (still NOT_SERVING).
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    store = open_valkey(settings.valkey_url)
    holder = f"{socket.gethostname()}:{uuid.uuid4().hex[:8]}"
    lease = Lease(store, name, holder, clock)
    keys = KeyRing(settings.api_keys_dir, time.monotonic)
    loops, tls = LoopMetrics(registry), settings.tls()
    context = Context(name, store, clock, registry, loops, lease, keys, tls)
    parts = build(settings, context)
    view = StackView(
        name,
        settings.peers(),
        settings.hotband_pairs,
        settings.candle_granularity,
        Limits(
            settings.gates_blob_max_age_sec,
            settings.gates_blob_max_age_sec,
            settings.fresh_max_signal_age_sec,
        ),
        settings,
    )
    ops = OpsServicer(
        view, store, registry, clock, context.open_channel, is_writer=lambda: lease.held
    )
    server = GrpcServer(
        [*parts.handlers, Handler(OPS_SERVICE, ops, ops_pb2_grpc.add_OpsServiceServicer_to_server)],
        registry,
        AccessPolicy(keys, settings.api_reads) if settings.api_access is ApiAccess.KEYS else None,
        AnswerCache(clock) if settings.api_keep_answers else None,
        tls,
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
        # What ended the work, if it was not us, ends the service too, once all is given up.
        work.result()


async def _work(parts: Parts, context: Context, server: GrpcServer) -> None:
    serving = Gauge(
        "sep_serving", "1 while this service does its work", ["service"], registry=context.registry
    )
    serving.labels(context.name).set(0)
    renewal = PeriodicLoop("lease", context.lease.renew, RENEW_SECONDS, context.loops)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(renewal.run())
        if parts.prepare is not None:
            await _until_prepared(parts.prepare)
        for loop in parts.loops:
            tasks.create_task(loop.run())
        tasks.create_task(_watch(parts, server, serving.labels(context.name)))


async def _until_prepared(prepare: Callable[[], Awaitable[None]]) -> None:
    waiting_for = ""
    while True:
        try:
            await prepare()
        except StartRefusedError as error:
            _log.error("start refused", because=str(error))
            raise
        except SepError as error:
            # Said once a cause: a dependency may be away for hours.
            if str(error) != waiting_for:
                waiting_for = str(error)
                _log.warning("waiting", reason=error.reason, error=waiting_for)
            raise_if_cancelled()
            await asyncio.sleep(_RETRY_S)
            continue
        # Told to stop in the very moment it was done: whatever starts now would never end.
        raise_if_cancelled()
        return


async def _watch(parts: Parts, server: GrpcServer, gauge: Gauge) -> None:
    """Keep health true: serving while every check passes and every loop works."""
    said: str | None = None
    while True:
        fault = await _first_fault(parts)
        raise_if_cancelled()
        await server.set_serving(serving=fault is None)
        gauge.set(fault is None)
        if fault != said:
            said = fault
            if fault is None:
                _log.info("serving")
            else:
                _log.warning("not serving", because=fault)
        await asyncio.sleep(_CHECK_EVERY_S)


async def _first_fault(parts: Parts) -> str | None:
    for name, check in parts.checks.items():
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                fault = await check()
        except TimeoutError:
            fault = "no answer in time"
        except Exception as error:  # noqa: BLE001 - a check that breaks is no reason to go down
            fault = str(error) or repr(error)
        if fault is not None:
            return f"{name}: {fault}"
    return next(
        (fault for loop in parts.loops if loop.vital and (fault := loop.stalled())),
        None,
    )
