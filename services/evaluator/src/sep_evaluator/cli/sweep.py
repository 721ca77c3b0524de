"""Run many parameter combinations over many instruments, on all cores.

The window metrics of an instrument are computed once and shared by its combinations.
The compiled loops release the GIL, so threads run in parallel.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from sep_fx.bars import Bars
from sep_fx.sessions import SessionCalendar

from sep_evaluator.domain.backtest import price_columns
from sep_evaluator.domain.backtest_grid import run_combinations
from sep_evaluator.domain.backtest_state import (
    BOOK_DTYPE,
    NEVER,
    TRADE_DTYPE,
    Prices,
    Record,
    rules_of,
)
from sep_evaluator.domain.cost_records import record_of, rollovers_of
from sep_evaluator.domain.costs import NO_COST_TABLE, Costs, CostTable
from sep_evaluator.domain.kernel import figure_rows
from sep_evaluator.domain.kernel_tables import Floats, Ints
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.spans import SpanSummary

MAX_COMBINATIONS = 1_000_000
_SLICE = 64  # combinations per task


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What all instruments of a sweep share: bar length, sessions, exit before a close, costs."""

    granularity_s: int
    calendar: SessionCalendar
    exit_minutes: float
    costs: CostTable = NO_COST_TABLE


@dataclass(frozen=True, slots=True)
class SweepRow:
    """The result of one combination on one instrument."""

    instrument: str
    params: StrategyParams
    summary: SpanSummary


@dataclass(frozen=True, slots=True)
class _Series:
    """One instrument's bars and the columns derived from them, shared by its combinations."""

    time: Ints
    prices: Prices
    mid: Floats
    figures: Floats
    closing: npt.NDArray[np.bool_]
    costs: Costs


def combinations(grid: Mapping[str, object]) -> list[StrategyParams]:
    """Every combination of a grid that maps parameter names to a value or a list of values.

    Raises:
        ValueError: unknown names, values out of range or empty lists, all listed in one
            message; or more than a million combinations.
    """
    choices = {k: list(v) if isinstance(v, list) else [v] for k, v in grid.items()}
    faults = [f"{name} has no values" for name, values in choices.items() if not values]
    count = 1
    for name, values in choices.items():
        count *= len(values)
        for value in values:
            try:
                StrategyParams.from_mapping({name: value})
            except ValueError as error:
                faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))
    if count > MAX_COMBINATIONS:
        raise ValueError(f"{count} combinations, allowed are up to {MAX_COMBINATIONS}")
    return [
        StrategyParams.from_mapping(dict(zip(choices, values, strict=True)))
        for values in product(*choices.values())
    ]


def sweep(
    series: Iterable[tuple[str, Bars]],
    grid: Sequence[StrategyParams],
    market: Market,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Generator[SweepRow]:
    """Run every combination on every instrument and yield rows instrument by instrument.

    Args:
        series: instruments and their bars; consumed one by one while earlier ones run.
        workers: threads, by default one per core.
        progress: called with the number of rows just finished.

    Closing the generator (an error, Ctrl-C) cancels the tasks that have not started.
    """
    count = workers or os.cpu_count() or 1
    rules = np.concatenate([rules_of(params) for params in grid])
    slices = [slice(i, i + _SLICE) for i in range(0, len(grid), _SLICE)]
    tasks: deque[tuple[str, slice, Future[Record]]] = deque()

    def finished(*, wait: bool) -> Iterator[SweepRow]:
        while tasks and (wait or tasks[0][2].done()):
            instrument, part, task = tasks.popleft()
            books = task.result()
            for params, book in zip(grid[part], books, strict=True):
                yield SweepRow(instrument, params, _summary(book))
            if progress is not None:
                progress(len(books))

    pool = ThreadPoolExecutor(count, thread_name_prefix="sweep")
    try:
        for instrument, bars in series:
            shared = pool.submit(_prepare, instrument, bars, market)
            # A slice blocks a pool thread until its series is ready. This can't deadlock: the
            # series was submitted first, so it is running or done.
            tasks.extend(
                (instrument, part, pool.submit(_run, shared, rules[part], market))
                for part in slices
            )
            yield from finished(wait=False)
        yield from finished(wait=True)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare(instrument: str, bars: Bars, market: Market) -> _Series:
    ends = bars.time + market.granularity_s
    left = market.calendar.seconds_to_close(instrument, ends)
    mid = bars.mid
    return _Series(
        time=bars.time,
        prices=price_columns(bars),
        mid=mid,
        figures=figure_rows(mid),
        closing=left <= market.exit_minutes * 60,
        costs=market.costs.of(instrument),
    )


def _run(shared: "Future[_Series]", rules: Record, market: Market) -> Record:
    series = shared.result()
    books = np.zeros(len(rules), BOOK_DTYPE)
    books["last_exit"] = NEVER
    run_combinations(
        series.time,
        series.prices,
        series.mid,
        series.figures,
        series.closing,
        market.granularity_s,
        rules,
        books,
        np.empty(0, TRADE_DTYPE),
        np.empty(0),
        record_of(series.costs)[0],
        rollovers_of(series.costs),
    )
    return books


def _summary(book: Record) -> SpanSummary:
    return SpanSummary.of(
        int(book["trades"]), int(book["wins"]), float(book["realised"]), float(book["drawdown"])
    )
