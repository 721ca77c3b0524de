from prometheus_client import CollectorRegistry
from sep_kit.holder_health import HolderHealth
from sep_kit.loop import LoopMetrics, PeriodicLoop


class Loop(PeriodicLoop):
    """A loop whose successes a test sets."""

    at: float | None = None

    @property
    def succeeded_at(self) -> float | None:
        return self.at


class Elapsed:
    """A monotonic clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def loop_of(interval_s: float) -> Loop:
    async def tick() -> None:
        """Never runs."""

    return Loop("reconcile", tick, interval_s, LoopMetrics(CollectorRegistry()))


def test_a_loop_may_go_three_intervals_and_at_least_30_s_without_success() -> None:
    elapsed = Elapsed()
    for interval, allowed in ((5, 30), (60, 180)):
        health, loop = HolderHealth(elapsed), loop_of(interval)
        health.begun([loop])
        loop.at = elapsed.now
        elapsed.now += allowed
        assert health.works()
        elapsed.now += 1
        assert not health.works()
        loop.at = elapsed.now
        assert health.works()


def test_one_loop_that_fails_is_enough() -> None:
    elapsed = Elapsed()
    health, good, bad = HolderHealth(elapsed), loop_of(1), loop_of(1)
    health.begun([good, bad])
    elapsed.now += 31
    good.at = elapsed.now
    assert not health.works()


def test_a_new_holder_gets_the_same_grace() -> None:
    elapsed = Elapsed()
    health, loop = HolderHealth(elapsed), loop_of(1)
    health.begun([loop])
    elapsed.now += 31
    health.acquired()
    elapsed.now += 30
    assert health.works()
    elapsed.now += 1
    assert not health.works()


def test_a_replica_that_is_not_prepared_does_not_wait_and_yields_after_its_grace() -> None:
    elapsed = Elapsed()
    health = HolderHealth(elapsed)
    assert not health.works()
    health.acquired()
    assert health.works()
    elapsed.now += 31
    assert not health.works()
