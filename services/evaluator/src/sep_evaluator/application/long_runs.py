"""The long run of every instrument, held in memory and fed with new candles only."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.sessions import SessionCalendar
from sep_kit.errors import CorruptRecordError
from sep_kit.logging import get_logger
from sep_kit.store.candles import BARS_PER_CHUNK, Head

from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.costs import NO_COST_TABLE, CostTable, digest_with_costs
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.ports import CandleSource

_log = get_logger("LongRuns")
_DAY = 86_400
# A run holds up to a tenth more than the long run; see StrictSpanRun.
_SPARE = 1.1
# More bars than this are processed in a thread, so that they do not block the event loop.
_LARGE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRules:
    """What all runs share: bar length, sessions, exit before a close, length of the history.

    ``costs`` are paid beside the spread of the candles.
    """

    granularity: Granularity
    calendar: SessionCalendar
    exit_minutes: float
    long_run_days: int
    costs: CostTable = NO_COST_TABLE


class LongRuns:
    """Runs by instrument.

    Updates and reads that belong together happen under ``lock``, which all loops share.
    """

    def __init__(self, instruments: Sequence[str], rules: RunRules, candles: CandleSource) -> None:
        self.rules = rules
        self.lock = asyncio.Lock()
        self._candles = candles
        self._params = dict.fromkeys(instruments, StrategyParams())
        self._runs = {i: self._new_run(i) for i in instruments}
        self._faults: dict[str, str] = {}
        self._bad_params: set[str] = set()
        # The store's head that each run was last updated to.
        self._heads: dict[str, Head] = {}

    @property
    def instruments(self) -> tuple[str, ...]:
        """All instruments, in the order given."""
        return tuple(self._runs)

    def run(self, instrument: str) -> StrictSpanRun:
        """The run of an instrument."""
        return self._runs[instrument]

    def integrity(self, instrument: str) -> tuple[str, ...]:
        """Faults of the instrument's candles and spans; empty if there are none."""
        fault = self._faults.get(instrument)
        return (*((fault,) if fault else ()), *self._runs[instrument].integrity())

    def params_digest(self, instrument: str) -> str | None:
        """Digest of the parameters and costs of a run; None while the stored ones are invalid.

        The run then goes on with the last valid ones, so that signals still end positions.
        """
        if instrument in self._bad_params:
            return None
        return digest_with_costs(self._params[instrument], self.rules.costs.of(instrument))

    def adopt_params(self, found: Mapping[str, StrategyParams | CorruptRecordError]) -> None:
        """Set parameters by instrument; a change empties the run, to be rebuilt from the store.

        Invalid ones leave the run as it is.
        """
        for instrument, params in found.items():
            if isinstance(params, CorruptRecordError):
                self._bad_params.add(instrument)
                continue
            self._bad_params.discard(instrument)
            if params != self._params[instrument]:
                _log.info("parameters changed", instrument=instrument, params=params.as_dict())
                self._params[instrument] = params
                self._reset(instrument)

    async def catch_up(self, *, rewritten: bool = False) -> None:
        """Append the candles that the store has and the runs lack.

        Args:
            rewritten: also rebuild the runs whose stored candles changed before the newest
                one (backfilled, corrected or deleted). A backfill changes them many times, so
                the candle loop does not ask for it.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        heads = await self._candles.heads(self._runs, self.rules.granularity)
        if rewritten:
            self._reset_rewritten(heads)
        # A head is read once: if its chunk is corrupt, reading it again would not help.
        due = {
            i: head
            for i, head in heads.items()
            if i in self._runs and (i not in self._heads or head.last != self._heads[i].last)
        }
        spans = {i: (self._due_since(i, head), head.last + 1) for i, head in due.items()}
        short = self.rules.granularity.seconds * BARS_PER_CHUNK
        few = {i: span for i, span in spans.items() if span[1] - span[0] <= short}
        found = await self._candles.read_bars_of(few, self.rules.granularity) if few else {}
        for instrument, head in due.items():
            if instrument in few:
                bars = found[instrument]
            else:
                bars = await self._candles.read_bars(
                    instrument, self.rules.granularity, *spans[instrument]
                )
            await self._extend(instrument, bars)
            before = self._heads.get(instrument)
            # The run's own count of rewrites stays, so that the next ``rewritten`` call still
            # sees what changed before the run's newest bar.
            self._heads[instrument] = replace(head, rewrites=before.rewrites) if before else head

    def _reset_rewritten(self, heads: Mapping[str, Head]) -> None:
        for instrument, before in list(self._heads.items()):
            head = heads.get(instrument)
            if head is None or head.rewrites != before.rewrites or head.last < before.last:
                _log.info("stored candles were rewritten, rebuilding run", instrument=instrument)
                self._reset(instrument)

    def _due_since(self, instrument: str, head: Head) -> int:
        watermark = self._runs[instrument].watermark
        return self._oldest(head.last) if watermark is None else watermark + 1

    async def _extend(self, instrument: str, bars: Bars) -> None:
        run = self._runs[instrument]
        try:
            if len(bars) > _LARGE:
                await asyncio.to_thread(run.extend, bars)
            else:
                run.extend(bars)
        except ValueError as error:
            # The run is unchanged. The fault keeps the gate closed until valid bars arrive.
            self._note_fault(instrument, str(error))
            return
        self._faults.pop(instrument, None)

    def _oldest(self, last: int) -> int:
        # Counted from the end of the data, not from the clock. Otherwise a restart at a weekend
        # would load fewer bars than the anchor needs and get other results than before.
        return last + self.rules.granularity.seconds - int(self._long_run_s * _SPARE)

    @property
    def _long_run_s(self) -> int:
        return self.rules.long_run_days * _DAY

    def _reset(self, instrument: str) -> None:
        self._runs[instrument] = self._new_run(instrument)
        self._faults.pop(instrument, None)
        self._heads.pop(instrument, None)

    def _new_run(self, instrument: str) -> StrictSpanRun:
        rules = self.rules
        return StrictSpanRun(
            self._params[instrument],
            rules.granularity.seconds,
            instrument,
            rules.calendar,
            rules.exit_minutes,
            long_run_days=rules.long_run_days,
            costs=rules.costs.of(instrument),
        )

    def _note_fault(self, instrument: str, fault: str) -> None:
        if self._faults.get(instrument) != fault:
            _log.error("candles refused", instrument=instrument, error=fault)
        self._faults[instrument] = fault
