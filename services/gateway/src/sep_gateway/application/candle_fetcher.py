"""The candle fetcher: history without a gap, then every new bar as soon as it is complete.

Backfill and live polling are one and the same: each instrument's known stretch of
history grows forward page by page until a page is short. After a pause of any length
the fetcher goes on where it stopped; a bar that is not complete yet is asked for again.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds
from sep_kit.clock import Clock, now_s
from sep_kit.errors import SepError
from sep_kit.logging import get_logger
from sep_kit.store.candles import CandleStore
from sep_kit.store.lease import Lease

from sep_gateway.application.candle_loader import CandleLoader
from sep_gateway.application.instrument_cache import InstrumentBook
from sep_gateway.domain import coverage as history
from sep_gateway.domain.coverage import Coverage
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import CoverageStore

_log = get_logger("CandleFetcher")

# A tick ends after this long and goes on in the next, so that the loop never looks stalled.
_TICK_S = 2.0
# A broker that stumbles for a moment does not take the gateway out of service.
_TOLERANCE_S = 15.0


class CandleFetcher:
    """Keeps the stack's instruments complete in the store; only the lease holder fetches.

    Args:
        days: how much history is wanted.
    """

    def __init__(
        self,
        instruments: tuple[str, ...],
        granularity: Granularity,
        days: float,
        *,
        book: InstrumentBook,
        loader: CandleLoader,
        candles: CandleStore,
        coverage: CoverageStore,
        lease: Lease,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._instruments = instruments
        self._granularity = granularity
        self._days = days
        self._book = book
        self._loader = loader
        self._candles = candles
        self._coverage = coverage
        self._lease = lease
        self._clock = clock
        self._faults: dict[str, str] = {}
        self._behind: set[str] = set()
        self._last_times: Mapping[str, int] = {}
        self._through: dict[str, int] = {}
        self._worked_at: float | None = None
        for name in instruments:
            metrics.last_candle_age.labels(name).set_function(partial(self._age, name))

    async def tick(self) -> bool:
        """Bring every instrument up to date; returns whether there is more to fetch at once.

        Raises:
            SepError: no instrument could be brought up to date for a while.
        """
        names = self._instruments
        self._last_times = await self._candles.last_times(names, self._granularity)
        if not self._lease.held:
            return False
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
            self._tell(name, result)
        if self._behind:
            _log.info(
                "backfill",
                behind=sorted(self._behind),
                through=format_seconds(min(self._through.get(n, 0) for n in self._behind)),
            )
        now = asyncio.get_running_loop().time()
        if len(errors) < len(names):
            self._worked_at = now
        elif self._worked_at is None or now - self._worked_at > _TOLERANCE_S:
            raise errors[0]
        return any(result is True for result in results)

    async def _advance(self, name: str, deadline: float) -> bool:
        """Extend one instrument's history; returns whether time ran out before the end."""
        instrument = await self._book.get(name)
        seconds = self._granularity.seconds
        wanted = history.wanted_since(now_s(self._clock), self._days, seconds)
        known = await self._coverage.read(name, self._granularity)
        if name not in self._last_times:
            # Without a single candle in the store the mark is worth nothing.
            known = None
        loop = asyncio.get_running_loop()
        while True:
            forward = history.next_forward(known, wanted)
            judged, _ = await self._loader.load_page(instrument, self._granularity, forward)
            before, known = known, history.extend_forward(known, forward, judged)
            await self._remember(name, before, known)
            if history.caught_up(before, known, judged):
                break
            if loop.time() > deadline:
                return True
        while (backward := history.next_backward(known, wanted)) is not None:
            if loop.time() > deadline:
                return True
            judged, _ = await self._loader.load_page(instrument, self._granularity, backward)
            before, known = known, history.extend_backward(known, judged, wanted)
            await self._remember(name, before, known)
        return False

    async def _remember(self, name: str, before: Coverage | None, after: Coverage) -> None:
        if after != before:
            await self._coverage.write(name, self._granularity, after)
        self._through[name] = after.last

    def _tell(self, name: str, result: bool | BaseException) -> None:
        """Log what changed: an instrument that fails, works again, or has caught up."""
        fault = str(result) if isinstance(result, BaseException) else ""
        if fault != self._faults.get(name, ""):
            self._faults[name] = fault
            if fault:
                _log.warning("candles fail", instrument=name, error=fault)
            else:
                _log.info("candles work again", instrument=name)
        if result is True:
            self._behind.add(name)
        elif result is False and name in self._behind:
            self._behind.discard(name)
            _log.info("backfill complete", instrument=name)

    def _age(self, name: str) -> float:
        last = self._last_times.get(name)
        if last is None:
            return float("nan")
        return now_s(self._clock) - (last + self._granularity.seconds)
