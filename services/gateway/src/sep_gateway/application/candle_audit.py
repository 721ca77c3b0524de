"""Reloads stored history page by page and repairs what differs from the broker's.

The fetcher never requests covered history again. So a corrupt chunk in the store, a
candle that was quarantined at first, or a bar that the broker corrected is repaired here.
"""

from collections import deque

from sep_fx.instants import format_seconds
from sep_kit.clock import Clock, now_s
from sep_kit.logging import get_logger

from sep_gateway.application.candle_loader import CandleLoader
from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.domain.coverage import PAGE, BackwardPage, wanted_since
from sep_gateway.domain.universe import Universe
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import CoverageStore, WriterLease

_log = get_logger("CandleAudit")


class CandleAudit:
    """Checks one page a tick, the instruments in turn, each from the newest page back."""

    def __init__(
        self,
        universe: Universe,
        *,
        instruments: InstrumentCache,
        loader: CandleLoader,
        coverage: CoverageStore,
        lease: WriterLease,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._universe = universe
        self._queue = deque(universe.instruments)
        self._instruments = instruments
        self._loader = loader
        self._coverage = coverage
        self._lease = lease
        self._clock = clock
        self._refilled = metrics.candles_refilled
        self._next_before: dict[str, int] = {}

    async def tick(self) -> None:
        """Reload the next page.

        Raises:
            SepError: it could not be loaded; it is tried again in its next turn.
        """
        if not self._lease.held:
            return
        name = self._queue[0]
        self._queue.rotate(-1)
        granularity = self._universe.granularity
        covered = await self._coverage.read(name, granularity)
        if covered is None or name not in await self._instruments.traded_universe():
            return
        seconds = granularity.seconds
        # Not beyond the coverage: storing newer bars is the fetcher's job, which leaves no gap.
        end = covered.last + seconds
        oldest = max(
            covered.since,
            wanted_since(now_s(self._clock), self._universe.history_days, seconds),
        )
        page = BackwardPage(min(self._next_before.get(name, end), end))
        instrument = await self._instruments.get(name)
        checked, result = await self._loader.load_page(instrument, granularity, page, oldest)
        if checked.first is None or checked.sent < PAGE or checked.first <= oldest:
            self._next_before.pop(name, None)
        else:
            self._next_before[name] = checked.first
        if result.stored:
            self._refilled.labels(name).inc(result.stored)
            _log.warning(
                "history repaired",
                instrument=name,
                granularity=granularity.value,
                candles=result.stored,
                from_=None if checked.first is None else format_seconds(checked.first),
            )
