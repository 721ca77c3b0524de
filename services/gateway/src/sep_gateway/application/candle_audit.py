"""Goes over stored history again, slowly, and puts right what is not as the broker has it.

A chunk that went bad in the store, a candle that was refused when it came, a bar that the
broker corrected: nobody would ask for them again, since their time counts as known.
"""

from collections import deque

from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds
from sep_kit.clock import Clock, now_s
from sep_kit.logging import get_logger
from sep_kit.store.lease import Lease

from sep_gateway.application.candle_loader import CandleLoader
from sep_gateway.application.instrument_cache import InstrumentBook
from sep_gateway.domain.coverage import PAGE, BackwardPage, wanted_since
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import CoverageStore

_log = get_logger("CandleAudit")


class CandleAudit:
    """One page a tick, of one instrument after the other, each from the newest back.

    Args:
        days: how much history is gone over before it begins anew.
    """

    def __init__(
        self,
        instruments: tuple[str, ...],
        granularity: Granularity,
        days: float,
        *,
        book: InstrumentBook,
        loader: CandleLoader,
        coverage: CoverageStore,
        lease: Lease,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._turns = deque(instruments)
        self._granularity = granularity
        self._days = days
        self._book = book
        self._loader = loader
        self._coverage = coverage
        self._lease = lease
        self._clock = clock
        self._refilled = metrics.candles_refilled
        self._before: dict[str, int] = {}

    async def tick(self) -> None:
        """Go over the next page.

        Raises:
            SepError: it could not be loaded; its turn comes again.
        """
        if not self._lease.held:
            return
        name = self._turns[0]
        self._turns.rotate(-1)
        known = await self._coverage.read(name, self._granularity)
        if known is None:
            return
        seconds = self._granularity.seconds
        # Not beyond what is known: the rest is the fetcher's, which leaves no hole.
        end = known.last + seconds
        oldest = max(known.since, wanted_since(now_s(self._clock), self._days, seconds))
        page = BackwardPage(min(self._before.get(name, end), end))
        instrument = await self._book.get(name)
        judged, loaded = await self._loader.load_page(instrument, self._granularity, page, oldest)
        if judged.first is None or judged.sent < PAGE or judged.first <= oldest:
            self._before.pop(name, None)
        else:
            self._before[name] = judged.first
        if loaded.stored:
            self._refilled.labels(name).inc(loaded.stored)
            _log.warning(
                "history put right",
                instrument=name,
                granularity=self._granularity.value,
                candles=loaded.stored,
                from_=None if judged.first is None else format_seconds(judged.first),
            )
