import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sep_kit import service
from sep_kit.clock import SystemClock
from sep_kit.errors import StoreUnavailableError, UnavailableError
from sep_kit.grpc.client import open_channel
from sep_kit.grpc.server import OPS_SERVICE
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts, run_service
from sep_kit.settings.loading import load_settings
from sep_kit.settings.stack import StackSettings
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

NOWHERE = Path("/nonexistent")


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten all intervals."""
    for name in ("_RETRY_S", "_CHECK_EVERY_S", "_GRACE_S"):
        monkeypatch.setattr(service, name, 0.05)


def settings(valkey: ValkeyServer, **changed: str) -> StackSettings:
    environ = {"GRPC_LISTEN": "127.0.0.1:0", "VALKEY_URL": valkey.url, **changed}
    return load_settings(StackSettings, environ, NOWHERE)


async def health(address: str, service: str = "") -> str:
    async with open_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        found = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=30)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(found.status))


async def eventually_is(address: str, status: str) -> None:
    async def matches() -> bool:
        return await health(address) == status

    await eventually(matches)


class Step:
    """Counts its calls; raises ``error`` while it is set."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


class Builder:
    """Builds a service with one loop and one check, and records its context."""

    def __init__(self, prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        self.tick, self.check = Step(), Step()
        self.prepare = prepare
        self.closed: list[str] = []
        self.context: Context | None = None
        self.vital = True
        self.fault: str | None = None

    def __call__(self, settings: Any, context: Context) -> Parts:
        self.context = context
        loop = PeriodicLoop("work", self.tick, 0.05, context.loops, vital=self.vital)

        async def check() -> str | None:
            await self.check()
            return self.fault

        return Parts(
            handlers=[],
            loops=[loop],
            prepare=self.prepare,
            checks={"checked": check},
            close=[self._close("first"), self._close("second")],
        )

    def _close(self, name: str) -> Callable[[], Awaitable[None]]:
        async def close() -> None:
            self.closed.append(name)

        return close


async def test_a_service_is_serving_once_it_works(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    build = Builder()
    async with running_service("guard", settings(shared_valkey), build) as address:
        assert await health(address, OPS_SERVICE) == "SERVING"
        await eventually_is(address, "SERVING")
        assert build.tick.calls > 0


async def test_it_waits_while_the_store_is_down_and_recovers(valkey: ValkeyServer) -> None:
    valkey.kill()
    wanted = settings(valkey)

    def build(settings: Any, context: Context) -> Parts:
        async def check_store() -> None:
            await reply(context.store.ping())

        return Parts(handlers=[], prepare=check_store, checks={"valkey": check_store})

    with structlog.testing.capture_logs() as logs:
        async with running_service("guard", wanted, build) as address:
            await eventually(lambda: any(e["event"] == "waiting" for e in logs))
            assert await health(address) == "NOT_SERVING"
            # OpsService answers meanwhile.
            assert await health(address, OPS_SERVICE) == "SERVING"
            valkey.start()
            await eventually_is(address, "SERVING")
            valkey.kill()
            await eventually_is(address, "NOT_SERVING")
            valkey.start()
            await eventually_is(address, "SERVING")


async def test_preparation_is_retried_and_logged_once_per_cause(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    causes: list[Exception] = [UnavailableError("b"), UnavailableError("a"), UnavailableError("a")]

    async def prepare() -> None:
        if causes:
            raise causes.pop()

    build = Builder(prepare)
    with structlog.testing.capture_logs() as logs:
        async with running_service("guard", settings(shared_valkey), build) as address:
            await eventually(lambda: len(causes) == 1)
            assert build.tick.calls == 0  # no loop before the preparation
            await eventually_is(address, "SERVING")
    assert [e["error"] for e in logs if e["event"] == "waiting"] == ["a", "b"]


async def test_a_failing_vital_loop_makes_the_service_not_serving(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    build = Builder()
    with structlog.testing.capture_logs() as logs:
        async with running_service("guard", settings(shared_valkey), build) as address:
            await eventually_is(address, "SERVING")
            build.tick.error = ValueError("broken")
            await eventually_is(address, "NOT_SERVING")
            build.tick.error = None
            await eventually_is(address, "SERVING")
    assert [e["reason"] for e in logs if e["event"] == "not serving"][-1] == "work: fails: broken"


async def test_a_failing_loop_that_is_not_vital_does_not(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    build = Builder()
    build.vital = False
    build.tick.error = ValueError("broken")
    async with running_service("guard", settings(shared_valkey), build) as address:
        await eventually_is(address, "SERVING")


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("Valkey does not answer"), TimeoutError(), ValueError("a bug")]
)
async def test_a_failing_check_makes_the_service_not_serving_and_does_not_end_it(
    store: Valkey, shared_valkey: ValkeyServer, error: Exception
) -> None:
    build = Builder()
    async with running_service("guard", settings(shared_valkey), build) as address:
        await eventually_is(address, "SERVING")
        build.check.error = error
        await eventually_is(address, "NOT_SERVING")
        build.check.error = None
        await eventually_is(address, "SERVING")


async def test_the_fault_of_a_check_is_logged(store: Valkey, shared_valkey: ValkeyServer) -> None:
    build = Builder()
    build.fault = "the broker link is down"
    with structlog.testing.capture_logs() as logs:
        async with running_service("guard", settings(shared_valkey), build) as address:
            await eventually(lambda: any(e["event"] == "not serving" for e in logs))
            assert await health(address) == "NOT_SERVING"
    assert [e["reason"] for e in logs if e["event"] == "not serving"] == [
        "checked: the broker link is down"
    ]


async def test_stopping_releases_the_lease_and_closes_in_order(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    build = Builder()
    async with running_service("guard", settings(shared_valkey), build) as address:
        await eventually_is(address, "SERVING")
        assert build.context is not None
        await eventually(lambda: build.context is not None and build.context.lease.held)
        assert await store.exists(keys.lease("guard"))
    assert not await store.exists(keys.lease("guard"))
    assert build.closed == ["first", "second"]


async def test_a_standby_replica_takes_over_from_one_that_stops(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    first, second = Builder(), Builder()
    wanted = settings(shared_valkey)

    def held(build: Builder) -> bool:
        return build.context is not None and build.context.lease.held

    async with running_service("guard", wanted, second):
        async with running_service("guard", wanted, first):
            await eventually(lambda: held(first) or held(second))
            leader, other = (first, second) if held(first) else (second, first)
            assert not held(other)
            if leader is second:
                # Make the one that stops first the holder.
                assert leader.context is not None
                await leader.context.lease.release()
                await eventually(lambda: held(first), within_s=30)
        await eventually(lambda: held(second), within_s=30)


async def test_a_holder_whose_work_fails_yields_to_a_replica_whose_work_succeeds(
    store: Valkey, shared_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It renews its lease all the while, so the lease alone would never end."""
    monkeypatch.setattr(service, "_HOLDER_GRACE_S", 0.5)
    first, second = Builder(), Builder()
    wanted = settings(shared_valkey)

    def held(build: Builder) -> bool:
        return build.context is not None and build.context.lease.held

    async with running_service("guard", wanted, first):
        await eventually(lambda: held(first))
        first.tick.error = StoreUnavailableError("the gateway can't be reached")
        # Alone it stays: a poor holder is better than none.
        failures = first.tick.calls + 100
        await eventually(lambda: first.tick.calls > failures, within_s=30)
        assert held(first)
        async with running_service("guard", wanted, second):
            await eventually(lambda: held(second) and not held(first), within_s=30)
            assert await reply(store.exists(keys.lease("guard")))


async def test_a_service_can_stop_while_the_store_is_down(valkey: ValkeyServer) -> None:
    build = Builder()
    async with asyncio.timeout(30):
        async with running_service("guard", settings(valkey), build) as address:
            await eventually_is(address, "SERVING")
            valkey.kill()
        assert build.closed == ["first", "second"]


async def test_a_service_can_stop_before_it_is_prepared(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    async def prepare() -> None:
        await asyncio.sleep(3600)

    build = Builder(prepare)
    async with asyncio.timeout(30):
        async with running_service("guard", settings(shared_valkey), build):
            pass
    assert build.closed == ["first", "second"]


async def test_a_bug_ends_the_service_after_an_orderly_stop(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    async def prepare() -> None:
        assert build.context is not None
        await eventually(lambda: build.context is not None and build.context.lease.held)
        raise ZeroDivisionError

    build = Builder(prepare)
    ended = run_service("guard", settings(shared_valkey), build, SystemClock(), asyncio.Event())
    with pytest.raises(ExceptionGroup) as crash:
        await ended
    assert crash.group_contains(ZeroDivisionError)
    assert not await store.exists(keys.lease("guard"))
    assert build.closed == ["first", "second"]


async def test_a_port_in_use_is_reported_and_everything_is_closed(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    build = Builder()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RuntimeError, match=listen):
            async with running_service("guard", settings(shared_valkey, GRPC_LISTEN=listen), build):
                pass
    assert build.closed == ["first", "second"]


async def test_running_calls_may_finish_when_the_service_stops(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    build = Builder()
    watches: Sequence[Any] = ()
    async with running_service("guard", settings(shared_valkey), build) as address:
        await eventually_is(address, "SERVING")
        channel = grpc.aio.insecure_channel(address)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        first = await watch.read()
        watches = [watch]
    # Watchers are notified before the connection closes.
    last = await watches[0].read()
    await channel.close(None)
    assert first.status == health_pb2.HealthCheckResponse.SERVING
    assert last.status == health_pb2.HealthCheckResponse.NOT_SERVING
