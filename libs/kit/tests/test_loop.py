import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry
from sep_kit.errors import StoreUnavailableError
from sep_kit.loop import LoopMetrics, PeriodicLoop
from sep_testing.eventually import eventually

Entry = MutableMapping[str, Any]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@asynccontextmanager
async def running(
    tick: Callable[[], Awaitable[None]],
    registry: CollectorRegistry,
    interval_s: float = 0.005,
    random_fraction: float = 0.0,
) -> AsyncIterator[PeriodicLoop]:
    loop = PeriodicLoop(
        "test", tick, interval_s, LoopMetrics(registry), random_fraction=lambda: random_fraction
    )
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def advance(seconds: float) -> None:
    """Advance the event loop's clock."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]


class Ticks:
    """Counts ticks; raises ``error`` while it is set."""

    def __init__(self) -> None:
        self.count = 0
        self.error: BaseException | None = None

    async def __call__(self) -> None:
        self.count += 1
        if self.error is not None:
            raise self.error


async def test_it_ticks_repeatedly(registry: CollectorRegistry) -> None:
    ticks = Ticks()
    async with running(ticks, registry):
        await eventually(lambda: ticks.count >= 3)


async def test_it_ticks_at_once_when_woken(registry: CollectorRegistry) -> None:
    ticks = Ticks()
    async with running(ticks, registry, interval_s=3600) as loop:
        await eventually(lambda: ticks.count == 1)
        loop.wake()
        await eventually(lambda: ticks.count == 2)


async def test_waking_during_a_tick_causes_one_more_without_overlap(
    registry: CollectorRegistry,
) -> None:
    go = asyncio.Event()
    inside = most = count = 0

    async def tick() -> None:
        nonlocal inside, most, count
        inside, count = inside + 1, count + 1
        most = max(most, inside)
        await go.wait()
        inside -= 1

    async with running(tick, registry, interval_s=3600) as loop:
        await eventually(lambda: count == 1)
        for _ in range(5):
            loop.wake()
        await asyncio.sleep(0)
        assert count == 1
        go.set()
        await eventually(lambda: count == 2)
        await asyncio.sleep(0.01)
        assert (count, most) == (2, 1)


async def test_a_tick_longer_than_the_interval_delays_the_next(
    registry: CollectorRegistry,
) -> None:
    inside = most = count = 0

    async def tick() -> None:
        nonlocal inside, most, count
        inside, count = inside + 1, count + 1
        most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1

    async with running(tick, registry, interval_s=0.001):
        await eventually(lambda: count >= 4)
    assert most == 1


async def test_first_ticks_are_jittered_by_at_most_a_second(
    registry: CollectorRegistry,
) -> None:
    ticks = Ticks()
    async with running(ticks, registry, interval_s=3600, random_fraction=0.9):
        await asyncio.sleep(0.01)
        assert ticks.count == 0
        advance(0.9)
        await eventually(lambda: ticks.count == 1)


async def test_a_failure_is_logged_once_and_the_recovery_once(
    registry: CollectorRegistry,
) -> None:
    ticks = Ticks()
    ticks.error = ValueError("broken")
    with structlog.testing.capture_logs() as logs:
        async with running(ticks, registry) as loop:
            await eventually(lambda: ticks.count >= 3)
            assert loop.stalled() == "test: fails: broken"
            ticks.error = None
            await eventually(lambda: loop.stalled() is None)
            seen = ticks.count
            await eventually(lambda: ticks.count >= seen + 2)
            ticks.error = KeyError("again")
            await eventually(lambda: loop.stalled() is not None)
    assert [entry["event"] for entry in logs] == ["loop fails", "loop works again", "loop fails"]
    failures = registry.get_sample_value("sep_loop_failures_total", {"loop": "test"})
    assert failures is not None
    assert failures >= 4


@pytest.mark.parametrize(
    ("error", "traced"),
    [(StoreUnavailableError("Valkey does not answer"), False), (ValueError("a bug"), True)],
)
async def test_only_an_unexpected_error_is_logged_with_its_traceback(
    registry: CollectorRegistry, error: Exception, traced: bool
) -> None:
    ticks = Ticks()
    ticks.error = error
    with structlog.testing.capture_logs() as logs:
        async with running(ticks, registry):
            await eventually(lambda: ticks.count >= 2)
    (entry,) = logs
    assert (entry["error"], bool(entry["exc_info"])) == (repr(error), traced)


async def test_an_error_without_a_message_is_reported_too(registry: CollectorRegistry) -> None:
    ticks = Ticks()
    ticks.error = TimeoutError()
    async with running(ticks, registry) as loop:
        await eventually(lambda: loop.stalled() == "test: fails: TimeoutError()")


async def test_a_cancellation_from_inside_the_tick_does_not_end_the_loop(
    registry: CollectorRegistry,
) -> None:
    ticks = Ticks()
    ticks.error = asyncio.CancelledError()
    async with running(ticks, registry) as loop:
        await eventually(lambda: ticks.count >= 3)
        ticks.error = None
        await eventually(lambda: loop.stalled() is None)


async def test_it_stops_at_once_during_a_tick(registry: CollectorRegistry) -> None:
    stopped = asyncio.Event()
    started = asyncio.Event()

    async def tick() -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.set()

    async with asyncio.timeout(30):
        async with running(tick, registry):
            await started.wait()
        assert stopped.is_set()


async def test_a_loop_that_has_not_run_yet_counts_as_stalled(registry: CollectorRegistry) -> None:
    loop = PeriodicLoop("test", Ticks(), 1, LoopMetrics(registry))
    assert loop.stalled() == "test: has not run yet"


@pytest.mark.parametrize(("interval_s", "allowed_s"), [(0.005, 15), (10, 30)])
async def test_a_hanging_tick_is_reported_after_three_intervals_but_not_before_15_s(
    registry: CollectorRegistry, interval_s: float, allowed_s: float
) -> None:
    hang = asyncio.Event()
    release = asyncio.Event()

    async def tick() -> None:
        if hang.is_set():
            await release.wait()

    async with running(tick, registry, interval_s) as loop:
        await eventually(lambda: loop.stalled() is None)
        hang.set()
        loop.wake()
        await asyncio.sleep(0)
        advance(allowed_s - 1)
        assert loop.stalled() is None
        advance(2)
        assert loop.stalled() == f"test: no tick for {allowed_s + 1:.0f} s"
        hang.clear()
        release.set()
        await eventually(lambda: loop.stalled() is None)


async def test_lag_duration_and_last_success_are_exported(
    registry: CollectorRegistry,
) -> None:
    ticks = Ticks()
    async with running(ticks, registry):
        await eventually(lambda: ticks.count >= 2)

    def value(name: str) -> float | None:
        return registry.get_sample_value(name, {"loop": "test"})

    assert value("sep_loop_lag_seconds") is not None
    assert (value("sep_loop_duration_seconds_count") or 0) >= 2
    assert (value("sep_loop_last_success_timestamp_seconds") or 0) > 0
