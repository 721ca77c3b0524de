"""The long run of every instrument, kept in memory and fed with new candles only."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sep_fx.granularity import Granularity
from sep_fx.sessions import SessionCalendar
from sep_kit.logging import get_logger

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
            params = _parse_params(instrument, raw)
            if params != self._params[instrument]:
                _log.info("parameters changed", instrument=instrument, params=params.as_dict())
                self._params[instrument] = params
                self._runs[instrument] = self._new_run(instrument)
                self._faults.pop(instrument, None)

    async def catch_up(self, now_s: int) -> dict[str, int]:
        """Take in what the store has and the runs have not; returns how many bars each got.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        granularity = self.rules.granularity
        newest = await self._candles.last_times(self._runs, granularity)
        grown = {}
        for instrument, last in newest.items():
            run = self._runs[instrument]
            watermark = run.watermark
            if watermark is not None and last <= watermark:
                continue
            oldest = now_s - int(self.rules.long_run_days * _SPARE * _DAY)
            since = oldest if watermark is None else watermark + 1
            bars = await self._candles.read_bars(instrument, granularity, since)
            try:
                if len(bars) > _LARGE:
                    await asyncio.to_thread(run.extend, bars)
                else:
                    run.extend(bars)
            except ValueError as error:
                # The run stays as it was; the instrument is not eligible until it is sound.
                self._note_fault(instrument, str(error))
                continue
            self._faults.pop(instrument, None)
            if len(bars):
                grown[instrument] = len(bars)
        return grown

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


def _parse_params(instrument: str, raw: bytes | None) -> StrategyParams:
    if raw is None:
        return StrategyParams()
    try:
        fields = json.loads(raw)
        if not isinstance(fields, dict):
            raise ValueError("not a JSON object")
        return StrategyParams.from_mapping(fields)
    except ValueError as error:
        _log.warning("winner parameters refused", instrument=instrument, error=str(error))
        return StrategyParams()
