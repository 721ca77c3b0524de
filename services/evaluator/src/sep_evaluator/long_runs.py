"""The long run of every instrument, kept in memory and fed with new candles only."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.sessions import SessionCalendar
from sep_kit.logging import get_logger
from sep_kit.store.candles import BARS_PER_CHUNK, Head

from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.ports import CandleSource

_log = get_logger("LongRuns")
_DAY = 86_400
# The run keeps up to a tenth more than the long run; see StrictSpanRun.
_SPARE = 1.1
# Past this many bars the numbers are crunched beside the event loop.
_LARGE = 5_000


@dataclass(frozen=True, slots=True)
class RunRules:
    """What all runs share."""

    granularity: Granularity
    calendar: SessionCalendar
    exit_minutes: float
    long_run_days: int


class LongRuns:
    """Runs by instrument. One caller at a time; the loops share a lock."""

    def __init__(self, instruments: Sequence[str], rules: RunRules, candles: CandleSource) -> None:
        self.rules = rules
        self._candles = candles
        self._params = dict.fromkeys(instruments, StrategyParams())
        self._runs = {i: self._new_run(i) for i in instruments}
        self._faults: dict[str, str] = {}
        # The head that each run was last brought up to.
        self._taken: dict[str, Head] = {}
        self._refused: dict[str, bytes] = {}

    @property
    def instruments(self) -> tuple[str, ...]:
        """All instruments, in the order given."""
        return tuple(self._runs)

    def run(self, instrument: str) -> StrictSpanRun:
        """The run of an instrument."""
        return self._runs[instrument]

    def integrity(self, instrument: str) -> tuple[str, ...]:
        """What breaks the instrument's spans; empty while they hold."""
        fault = self._faults.get(instrument)
        return (*((fault,) if fault else ()), *self._runs[instrument].integrity())

    def adopt_params(self, found: Mapping[str, bytes | None]) -> None:
        """Take winner parameters over; a change makes the run anew from the stored candles.

        Args:
            found: what stands under ``opt:best_config`` by instrument, None where nothing does.
        """
        for instrument, raw in found.items():
            params = self._parse_params(instrument, raw)
            if params != self._params[instrument]:
                _log.info("parameters changed", instrument=instrument, params=params.as_dict())
                self._params[instrument] = params
                self._begin_again(instrument)

    async def catch_up(self, *, rewritten: bool = False) -> None:
        """Take in what the store has and the runs have not.

        Args:
            rewritten: also make a run anew whose candles changed behind its newest one:
                backfilled, corrected, or gone. Not asked for with every new candle, since a
                backfill changes them many times over.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        heads = await self._candles.heads(self._runs, self.rules.granularity)
        if rewritten:
            self._drop_changed(heads)
        # Asked for once: where its chunk can't be read, asking again changes nothing.
        due = {
            i: head
            for i, head in heads.items()
            if i in self._runs and (i not in self._taken or head.last != self._taken[i].last)
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
            taken = self._taken.get(instrument)
            # What changed while the run was as it is stays to be noticed.
            self._taken[instrument] = replace(head, rewrites=taken.rewrites) if taken else head

    def _drop_changed(self, heads: Mapping[str, Head]) -> None:
        for instrument, taken in list(self._taken.items()):
            head = heads.get(instrument)
            if head is None or head.rewrites != taken.rewrites or head.last < taken.last:
                _log.info("candles changed behind the run", instrument=instrument)
                self._begin_again(instrument)

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
            # The run stays as it was; the instrument is not eligible until it is sound.
            self._note_fault(instrument, str(error))
            return
        self._faults.pop(instrument, None)

    def _oldest(self, last: int) -> int:
        # By the end of the data, not by the clock: after a weekend's restart a run that was
        # handed less than its anchor asks for would have other figures than before.
        return last + self.rules.granularity.seconds - int(self._long_run_s * _SPARE)

    @property
    def _long_run_s(self) -> int:
        return self.rules.long_run_days * _DAY

    def _begin_again(self, instrument: str) -> None:
        self._runs[instrument] = self._new_run(instrument)
        self._faults.pop(instrument, None)
        self._taken.pop(instrument, None)

    def _new_run(self, instrument: str) -> StrictSpanRun:
        rules = self.rules
        return StrictSpanRun(
            self._params[instrument],
            rules.granularity.seconds,
            instrument,
            rules.calendar,
            rules.exit_minutes,
            long_run_days=rules.long_run_days,
        )

    def _note_fault(self, instrument: str, fault: str) -> None:
        if self._faults.get(instrument) != fault:
            _log.error("candles refused", instrument=instrument, error=fault)
        self._faults[instrument] = fault

    def _parse_params(self, instrument: str, raw: bytes | None) -> StrategyParams:
        if raw is None:
            return StrategyParams()
        try:
            fields = json.loads(raw)
            if not isinstance(fields, dict):
                raise ValueError("not a JSON object")
            return StrategyParams.from_mapping(fields)
        except (ValueError, RecursionError) as error:
            if self._refused.get(instrument) != raw:
                self._refused[instrument] = raw
                _log.warning("winner parameters refused", instrument=instrument, error=str(error))
            return StrategyParams()
