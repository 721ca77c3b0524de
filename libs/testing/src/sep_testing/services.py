"""Real gRPC servers in the test's event loop, on free ports."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sep_kit.admission import access_policy
from sep_kit.clock import Clock, SystemClock
from sep_kit.grpc.access import AccessPolicy
from sep_kit.grpc.keys import KeyRing
from sep_kit.grpc.server import GrpcServer, Handler
from sep_kit.service import Build, run_service
from sep_kit.settings.shared.access import AccessKnobs
from sep_kit.settings.stack import StackSettings


@dataclass(frozen=True, slots=True)
class Running:
    """A running server and its address."""

    address: str
    server: GrpcServer


@asynccontextmanager
async def running_server(
    *handlers: Handler, registry: CollectorRegistry | None = None, serving: bool = True
) -> AsyncIterator[Running]:
    """Serve handlers with interceptor, health and reflection."""
    server = GrpcServer(handlers, registry or CollectorRegistry())
    port = await server.start("127.0.0.1:0")
    try:
        await server.set_serving(serving=serving)
        yield Running(f"127.0.0.1:{port}", server)
    finally:
        await server.stop(0)


@asynccontextmanager
async def running_service(
    name: str, settings: StackSettings, build: Build, clock: Clock | None = None
) -> AsyncIterator[str]:
    """Run a service; yields its address (it may still be NOT_SERVING).

    ``settings.grpc_listen`` should be ``127.0.0.1:0``. Without ``api_keys_dir`` everyone may call
    everything as often as they like, and the response cache is off, since the test's clock may
    stand still.
    """
    policy: Callable[[AccessKnobs, KeyRing], AccessPolicy | None] = access_policy
    if settings.api_keys_dir is None:
        free = {"api_keep_answers": False, "edge_write_limit": 10_000, "edge_stream_limit": 400}
        settings = settings.model_copy(update=free)
        policy = _everyone
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        run_service(name, settings, build, clock or SystemClock(), stop, port.set_result, policy)
    )
    try:
        task.add_done_callback(lambda _: port.done() or port.cancel())
        try:
            address = f"127.0.0.1:{await port}"
        except asyncio.CancelledError:
            await task  # raises the reason why the service did not start
            raise
        yield address
    finally:
        stop.set()
        await task


def _everyone(_settings: AccessKnobs, _keys: KeyRing) -> AccessPolicy | None:
    return None
