"""The runner of subscriptions that should never end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import structlog
from prometheus_client import CollectorRegistry
from sep_kit.loop import LoopMetrics
from sep_kit.subscription import Subscription
from sep_testing.eventually import eventually


class Source:
    """Runs until cancelled; raises ``error`` if it is set, or returns if it ``ends``."""

    def __init__(self) -> None:
        self.started = 0
        self.error: BaseException | None = None
        self.ends = False

    async def run(self) -> None:
        self.started += 1
        if self.error is not None:
            raise self.error
        if not self.ends:
            await asyncio.Event().wait()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@asynccontextmanager
async def running(
    run: Callable[[], Awaitable[None]],
    registry: CollectorRegistry,
    retry_s: float = 0.002,
    stable_after_s: float = 0.01,
) -> AsyncIterator[Subscription]:
    subscription = Subscription(
        "test", run, LoopMetrics(registry), retry_s=retry_s, stable_after_s=stable_after_s
    )
    task = asyncio.create_task(subscription.run())
    try:
        yield subscription
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def failures(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("sep_loop_failures_total", {"loop": "test"}) or 0.0


async def test_it_runs_once_as_long_as_the_source_works(registry: CollectorRegistry) -> None:
    source = Source()
    async with running(source.run, registry) as subscription:
        await eventually(lambda: subscription.stalled() is None)
        await asyncio.sleep(0.03)
        assert (source.started, failures(registry)) == (1, 0)


async def test_it_is_not_vital_unless_asked_for(registry: CollectorRegistry) -> None:
    metrics = LoopMetrics(registry)
    assert not Subscription("test", Source().run, metrics).vital
    assert Subscription("test", Source().run, metrics, vital=True).vital


async def test_one_that_has_not_started_counts_as_stalled(registry: CollectorRegistry) -> None:
    subscription = Subscription("test", Source().run, LoopMetrics(registry))
    assert subscription.stalled() == "test: has not started yet"


async def test_a_failure_is_logged_once_and_the_recovery_once(registry: CollectorRegistry) -> None:
    source = Source()
    source.error = ValueError("broken")
    with structlog.testing.capture_logs() as logs:
        async with running(source.run, registry) as subscription:
            await eventually(lambda: source.started >= 4)
            assert subscription.stalled() == "test: fails: broken"
            source.error = None
            await eventually(lambda: subscription.stalled() is None)
    assert [entry["event"] for entry in logs] == [
        "subscription fails",
        "subscription works again",
    ]
    assert failures(registry) >= 4


async def test_one_that_returns_is_restarted_and_reported(registry: CollectorRegistry) -> None:
    source = Source()
    source.ends = True
    with structlog.testing.capture_logs() as logs:
        async with running(source.run, registry) as subscription:
            await eventually(lambda: source.started >= 3)
            assert subscription.stalled() == "test: ended"
    assert [entry["event"] for entry in logs] == ["subscription fails"]


async def test_it_counts_as_failing_until_it_has_run_for_a_while(
    registry: CollectorRegistry,
) -> None:
    source = Source()
    source.error = TimeoutError()
    async with running(source.run, registry, stable_after_s=3600) as subscription:
        await eventually(lambda: source.started >= 2)
        source.error = None
        seen = source.started
        await eventually(lambda: source.started > seen)
        assert subscription.stalled() == "test: fails: TimeoutError()"


async def test_retries_back_off_up_to_four_times_the_first_pause(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, pauses, sleep = Source(), list[float](), asyncio.sleep

    async def record(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    source.error = ValueError("broken")
    monkeypatch.setattr("sep_kit.subscription.asyncio.sleep", record)
    async with running(source.run, registry, retry_s=1.0):
        while len([p for p in pauses if p >= 1]) < 5:
            await sleep(0)
    assert [p for p in pauses if p >= 1][:5] == [1.0, 2.0, 4.0, 4.0, 4.0]


async def test_a_cancellation_that_was_not_requested_is_a_failure(
    registry: CollectorRegistry,
) -> None:
    source = Source()
    source.error = asyncio.CancelledError()
    async with running(source.run, registry) as subscription:
        await eventually(lambda: source.started >= 3)
        source.error = None
        await eventually(lambda: subscription.stalled() is None)


async def test_it_stops_at_once_while_running_and_while_waiting(
    registry: CollectorRegistry,
) -> None:
    source = Source()
    async with asyncio.timeout(30):
        async with running(source.run, registry):
            await eventually(lambda: source.started == 1)
        source.error = ValueError("broken")
        async with running(source.run, CollectorRegistry(), retry_s=3600):
            await eventually(lambda: source.started == 2)
