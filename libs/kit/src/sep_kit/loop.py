"""Runs a function periodically, with metrics."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sep_kit.cancellation import cancellation_requested, raise_if_cancelled
from sep_kit.errors import SepError
from sep_kit.logging import get_logger
from sep_kit.refusal import StartRefusedError

_log = get_logger("Loop")


class LoopMetrics:
    """Prometheus metrics of loops and subscriptions; one instance per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "sep_loop_duration_seconds", "Duration of a tick", ["loop"], registry=registry
        )
        self.lag = Gauge(
            "sep_loop_lag_seconds", "How late the last tick started", ["loop"], registry=registry
        )
        self.failures = Counter(
            "sep_loop_failures_total", "Ticks that failed", ["loop"], registry=registry
        )
        self.last_success = Gauge(
            "sep_loop_last_success_timestamp_seconds",
            "When the last tick succeeded",
            ["loop"],
            registry=registry,
        )


class PeriodicLoop:
    """Runs ``tick`` every ``interval_s`` seconds, and immediately when woken.

    A failure is logged when ticks begin to fail and when they work again, not in between, and
    never ends the loop, unless it is a ``StartRefusedError``, which ends the service. A tick that
    takes longer than the interval delays the next one; ticks never overlap.

    Args:
        vital: whether the service counts as working only while this loop does.
        random_fraction: in [0, 1); jitter that spreads the first ticks of replicas.
    """

    def __init__(
        self,
        name: str,
        tick: Callable[[], Awaitable[None]],
        interval_s: float,
        metrics: LoopMetrics,
        *,
        vital: bool = True,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.vital = vital
        self.interval_s = interval_s
        self._tick = tick
        self._metrics = metrics
        self._random_fraction = random_fraction
        self._wake = asyncio.Event()
        self._failing: str | None = "has not run yet"
        self._failed_before = False
        self._succeeded_at: float | None = None

    @property
    def succeeded_at(self) -> float | None:
        """When the last tick succeeded, by the event loop's clock; None before the first."""
        return self._succeeded_at

    def wake(self) -> None:
        """Tick now, or directly after the running tick."""
        self._wake.set()

    def stalled(self) -> str | None:
        """Why the loop does not work; None while it does."""
        if self._failing is not None:
            return f"{self.name}: {self._failing}"
        at = self._succeeded_at
        age = asyncio.get_running_loop().time() - at if at is not None else 0.0
        limit = max(3 * self.interval_s, 15.0)
        return f"{self.name}: no tick for {age:.0f} s" if age > limit else None

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._random_fraction() * min(self.interval_s, 1.0)
        while True:
            try:
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
                due = loop.time()
            except TimeoutError:
                pass
            self._wake.clear()
            self._metrics.lag.labels(self.name).set(max(0.0, loop.time() - due))
            await self._run_tick()
            raise_if_cancelled()
            due = max(due + self.interval_s, loop.time())

    async def _run_tick(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            await self._tick()
        except StartRefusedError:
            raise
        except (Exception, asyncio.CancelledError) as error:
            # A cancellation that was not requested of this task is a failure like any other.
            if isinstance(error, asyncio.CancelledError) and cancellation_requested():
                raise
            self._metrics.failures.labels(self.name).inc()
            if not self._failed_before:
                # An error that the project itself raised says what happened; others are bugs.
                trace = None if isinstance(error, SepError) else error
                _log.warning("loop fails", loop=self.name, error=repr(error), exc_info=trace)
            self._failing, self._failed_before = f"fails: {str(error) or repr(error)}", True
            return
        finally:
            self._metrics.duration.labels(self.name).observe(loop.time() - started)
        if self._failed_before:
            _log.info("loop works again", loop=self.name)
        self._failing, self._failed_before = None, False
        self._succeeded_at = loop.time()
        self._metrics.last_success.labels(self.name).set_to_current_time()
