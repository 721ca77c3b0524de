"""Runs a subscription that should never end, and restarts it when it does."""

import asyncio
from collections.abc import Awaitable, Callable

from sep_kit.cancellation import cancellation_requested
from sep_kit.logging import get_logger
from sep_kit.loop import LoopMetrics

_log = get_logger("Subscription")
_MAX_BACKOFF_FACTOR = 4
_STABLE_AFTER_S = 5.0


class Subscription:
    """Runs ``run`` until cancelled; when it fails or returns, runs it again after a backoff.

    A failure is logged when the subscription begins to fail and when it works again, not in
    between. The backoff doubles from ``retry_s`` up to four times that, and is reset once the
    subscription has run for ``stable_after_s``.

    Args:
        run: subscribes and handles messages; returns only if the source ended.
        retry_s: seconds before the first retry.
        vital: whether the service counts as working only while this subscription does.
        stable_after_s: seconds without a failure after which it counts as working again.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[], Awaitable[None]],
        metrics: LoopMetrics,
        *,
        retry_s: float = 1.0,
        vital: bool = False,
        stable_after_s: float = _STABLE_AFTER_S,
    ) -> None:
        self.name = name
        self.vital = vital
        self._run = run
        self._metrics = metrics
        self._retry_s = retry_s
        self._stable_after_s = stable_after_s
        self._fault: str | None = "has not started yet"
        self._failures = 0

    def stalled(self) -> str | None:
        """Why the subscription does not work; None while it does."""
        return None if self._fault is None else f"{self.name}: {self._fault}"

    async def run(self) -> None:
        """Run the subscription until cancelled."""
        while True:
            await self._run_once()
            self._failures += 1
            await asyncio.sleep(self._retry_s * min(2 ** (self._failures - 1), _MAX_BACKOFF_FACTOR))

    async def _run_once(self) -> None:
        """One run, until it fails or returns; both count as a failure."""
        loop = asyncio.get_running_loop()
        if not self._failures:
            self._fault = None
        recovery = loop.call_later(self._stable_after_s, self._recovered)
        error: BaseException | None = None
        try:
            await self._run()
        except (Exception, asyncio.CancelledError) as caught:
            # A cancellation that was not requested of this task is a failure like any other.
            if isinstance(caught, asyncio.CancelledError) and cancellation_requested():
                raise
            error = caught
        finally:
            recovery.cancel()
        self._failed(error)

    def _failed(self, error: BaseException | None) -> None:
        self._metrics.failures.labels(self.name).inc()
        reason = "ended" if error is None else f"fails: {str(error) or repr(error)}"
        if not self._failures:
            _log.warning("subscription fails", subscription=self.name, error=reason, exc_info=error)
        self._fault = reason

    def _recovered(self) -> None:
        if self._failures:
            _log.info("subscription works again", subscription=self.name)
        self._failures, self._fault = 0, None
