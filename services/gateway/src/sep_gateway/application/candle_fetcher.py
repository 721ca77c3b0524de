"""The candle fetcher: history without a gap, then every new bar as soon as it is complete.

Backfill and live polling are the same process: the covered range of each instrument's history
grows forward page by page until a page is short. After a pause of any length the fetcher
continues where it stopped; an incomplete bar is fetched again.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

from sep_fx.instants import format_seconds
from sep_kit.clock import Clock, now_s
from sep_kit.errors import SepError
from sep_kit.logging import get_logger

from sep_gateway.application.candle_loader import CandleLoader
from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.domain.coverage import (
    Coverage,
    caught_up,
    extend_backward,
    extend_forward,
    next_backward,
    next_forward,
    wanted_since,
)
from sep_gateway.domain.universe import Universe
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import CandleStore, CoverageStore, WriterLease

_log = get_logger("CandleFetcher")

# A tick ends after this long and the next one continues, so that the loop never looks stalled.
_TICK_S = 2.0
# A broker outage shorter than this does not take the gateway out of service.
_TOLERANCE_S = 15.0


class CandleFetcher:
    """Keeps the universe's candle history complete; only the lease holder fetches."""

    def __init__(
        self,
        universe: Universe,
        *,
        instruments: InstrumentCache,
        loader: CandleLoader,
        store: CandleStore,
        coverage: CoverageStore,
        lease: WriterLease,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._universe = universe
        self._instruments = instruments
        self._loader = loader
        self._store = store
        self._coverage = coverage
        self._lease = lease
        self._clock = clock
        self._progress = _Progress()
        self._last_times: Mapping[str, int] = {}
        self._succeeded_at: float | None = None
        for name in universe.instruments:
            metrics.last_candle_age.labels(name).set_function(partial(self._age, name))

    async def tick(self) -> bool:
        """Bring every instrument up to date; returns whether more can be fetched at once.

        Raises:
            SepError: no instrument could be updated for 15 s.
        """
        self._last_times = await self._store.last_times(
            self._universe.instruments, self._universe.granularity
        )
        if not self._lease.held:
            return False
        try:
            # One that the account lacks is left out, and named in the status.
            names = await self._instruments.traded_universe()
        except SepError:
            # The error of each is reported and tolerated below.
            names = self._universe.instruments
        deadline = asyncio.get_running_loop().time() + _TICK_S
        results = await asyncio.gather(
            *(self._advance(name, deadline) for name in names), return_exceptions=True
        )
        errors: list[SepError] = []
        for name, result in zip(names, results, strict=True):
            if isinstance(result, SepError):
                errors.append(result)
            elif isinstance(result, BaseException):
                raise result
            self._progress.report(name, result)
        self._progress.report_backfill()
        now = asyncio.get_running_loop().time()
        if len(errors) < len(names) or not names:
            self._succeeded_at = now
        elif self._succeeded_at is None or now - self._succeeded_at > _TOLERANCE_S:
            raise errors[0]
        return any(result is True for result in results)

    async def _advance(self, name: str, deadline: float) -> bool:
        """Extend one instrument's history; returns whether the deadline came before the end."""
        instrument = await self._instruments.get(name)
        granularity = self._universe.granularity
        wanted = wanted_since(now_s(self._clock), self._universe.history_days, granularity.seconds)
        covered = await self._coverage.read(name, granularity)
        if name not in self._last_times:
            # Without a single stored candle the coverage record is wrong.
            covered = None
        loop = asyncio.get_running_loop()
        while True:
            forward = next_forward(covered, wanted)
            checked, _ = await self._loader.load_page(instrument, granularity, forward)
            before, covered = covered, extend_forward(covered, forward, checked)
            await self._save_coverage(name, before, covered)
            if caught_up(before, covered, checked):
                break
            if loop.time() > deadline:
                return True
        while (backward := next_backward(covered, wanted)) is not None:
            if loop.time() > deadline:
                return True
            checked, _ = await self._loader.load_page(instrument, granularity, backward)
            before, covered = covered, extend_backward(covered, checked, wanted)
            await self._save_coverage(name, before, covered)
        return False

    async def _save_coverage(self, name: str, before: Coverage | None, after: Coverage) -> None:
        if after != before:
            await self._coverage.write(name, self._universe.granularity, after)
        self._progress.through[name] = after.last

    def _age(self, name: str) -> float:
        last = self._last_times.get(name)
        if last is None:
            return float("nan")
        return now_s(self._clock) - (last + self._universe.granularity.seconds)


class _Progress:
    """Logs changes: an instrument that fails, recovers, or has caught up."""

    def __init__(self) -> None:
        self.through: dict[str, int] = {}
        """Last covered bar of each instrument, in seconds."""
        self._causes: dict[str, set[str]] = {}
        self._behind: set[str] = set()

    def report(self, name: str, result: bool | BaseException) -> None:
        """Record one instrument's result of a tick: an error, or whether it is still behind."""
        if isinstance(result, BaseException):
            # Once per cause until it recovers: causes alternate while the broker is away.
            cause, logged = type(result).__name__, self._causes.setdefault(name, set())
            if cause not in logged:
                logged.add(cause)
                _log.warning("candle fetch failed", instrument=name, error=str(result))
        elif self._causes.pop(name, None):
            _log.info("candle fetch recovered", instrument=name)
        if result is True:
            self._behind.add(name)
        elif result is False and name in self._behind:
            self._behind.discard(name)
            _log.info("backfill complete", instrument=name)

    def report_backfill(self) -> None:
        """Log which instruments are still behind, and up to when all of them are covered."""
        if self._behind:
            _log.info(
                "backfill",
                behind=sorted(self._behind),
                through=format_seconds(min(self.through.get(n, 0) for n in self._behind)),
            )
