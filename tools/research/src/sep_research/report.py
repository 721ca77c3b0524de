"""The report of a run: one HTML file that needs no network."""

import html
import math
from collections.abc import Iterator
from itertools import accumulate

from sep_fx.instants import format_seconds

from sep_research.charts import curve, heatmap, histogram
from sep_research.heatmaps import medians, varied
from sep_research.html_page import figure, number, page, table
from sep_research.sweep import InstrumentResult, Plan, SweepResult, best_in_training
from sep_research.verdict import ranked, winner_of

_BEST = 10
REASONS = {
    "TOO_FEW_TRADES": "fewer than ten trades out of sample",
    "NO_PROFIT_OUT_OF_SAMPLE": "no profit out of sample",
    "NULL_RUNS_TOO_FEW": "fewer than 19 null runs: --null 99 is usual",
    "NULL_EXPLAINS": "the same search does as well on null tapes, where there is nothing to find",
    "DEFLATED_SHARPE_LOW": "the Sharpe ratio is what the best of so many tries has by luck",
    "OVERFIT_PROBABLE": "the best of one half of the days fails in the other half",
    "PEAK": "its neighbours on the grid lose",
    "COSTS_DOUBLED": "it gains nothing when the spread is twice as wide",
    "EMBARGO_SHORT": "a position was held longer than the embargo",
    "REALITY_CHECK_FAILS": "so many tries give as much without any ability (White, Hansen)",
    "TRACK_RECORD_SHORT": "its Sharpe ratio would need more days than were tested",
    "CONFIDENCE_LOW": "days drawn again in blocks lose in more than one case of twenty",
    "DECAY": "the later half of the test days has no gain",
}


def report(plan: Plan, result: SweepResult) -> str:
    """The whole page."""
    parts = [
        f"<h1>Sweep of {len(plan.grid)} parameter sets on {len(result.results)} instruments</h1>",
        _summary(plan, result),
        table(
            ("instrument", "verdict", "trades", "return", "t", "p", "null 95 %", "deflated Sharpe",
             "overfit", "reality check", "days (needed)", "return 90 %", "later half",
             "gate windows"),
            (_verdict(found) for found in result.results),
        ),
        _nulls(result),
    ]  # fmt: skip
    parts += [_instrument(plan, result, found) for found in result.results]
    return page("Sweep", parts)


def _summary(plan: Plan, result: SweepResult) -> str:
    first, last = result.folds[0], result.folds[-1]
    chosen = "" if plan.search is None else f"; {plan.search.sets} sets chosen by adaptive search"
    market = f"market calendar {plan.calendar}"
    return (
        f"<p>{plan.granularity} candles, {len(result.folds)} folds, tests from "
        f"{format_seconds(first.test_from)} to {format_seconds(last.test_to)}; {plan.null_runs} "
        f"null runs, seed {plan.seed}{chosen}; {market}. All figures are out of "
        "sample unless they say otherwise. Returns are shares of a fixed notional, the spread "
        "included.</p>"
    )


def _verdict(found: InstrumentResult) -> Iterator[str]:
    v = found.verdict
    yield found.instrument
    yield '<span class="yes">promote</span>' if v.promote else '<span class="no">refuse</span>'
    yield str(v.trades)
    yield f"{v.out_return:+.4%}"
    yield number(v.t)
    yield number(v.p_value, 3)
    yield number(v.null_quantile)
    yield number(v.deflated)
    yield number(v.overfit)
    yield number(v.reality_p, 3)
    yield f"{v.test_days} ({number(v.track_days, 0)})"
    ends = (v.low_return, v.high_return)
    yield " to ".join("-" if end is None else f"{end:+.4%}" for end in ends)
    yield f"{v.recent_return:+.4%}"
    yield f"{v.gate_passes} of {v.windows}"


def _reasons(found: InstrumentResult) -> str:
    reasons = found.verdict.reasons
    if not reasons:
        return "<p>Promoted: nothing speaks against the best set.</p>"
    items = "".join(f"<li>{r}: {html.escape(REASONS[r])}</li>" for r in reasons)
    return f"<p>The best set is refused:</p><ul>{items}</ul>"


def _nulls(result: SweepResult) -> str:
    values = [v for v in result.null_best if math.isfinite(v)]
    if not values:
        return "<p>No null run: nothing shows what luck alone gives.</p>"
    marks = [(f.verdict.instrument, f.verdict.t) for f in result.results if f.verdict.t is not None]
    return figure(
        histogram(values, marks),
        "Best t-statistic of each null run over all instruments, and the winners' own (lines)",
    )


def _instrument(plan: Plan, result: SweepResult, found: InstrumentResult) -> str:
    best = found.trials[winner_of(found.trials)]
    names = plan.names
    parts = [
        f"<h2>{html.escape(found.instrument)}</h2>",
        _reasons(found),
        figure(
            curve(list(accumulate(best.out_daily.tolist(), initial=0.0))),
            "Sum of the winner's returns over the days of the test windows",
        ),
        f"<h3>The best {min(_BEST, len(found.trials))}</h3>",
        table(
            (*names, "trades", "return", "t", "gate windows"),
            (
                [
                    *(f"{plan.grid[i].as_dict()[n]:g}" for n in names),
                    str(found.trials[i].out_trades),
                    f"{found.trials[i].out_return:+.4%}",
                    number(found.trials[i].out_t),
                    f"{found.trials[i].gate_passes} of {len(result.folds)}",
                ]
                for i in ranked(found.trials)[:_BEST]
            ),
        ),
        "<h3>Chosen in training, then tested</h3>",
        table(
            ("test window", "trial", "t in training", "trades", "return", "Calmar"),
            _fold_rows(result, found),
        ),
    ]
    if (grid := _heatmap(plan, found)) is not None:
        parts.append(grid)
    return "\n".join(parts)


def _fold_rows(result: SweepResult, found: InstrumentResult) -> Iterator[list[str]]:
    for at, fold in enumerate(result.folds):
        window = f"{format_seconds(fold.test_from)[:10]} to {format_seconds(fold.test_to)[:10]}"
        best = best_in_training(found.trials, at)
        if best is None:
            yield [window, "none", "", "", "", ""]
            continue
        test = found.trials[best].tests[at]
        yield [
            window, str(best), number(found.trials[best].train_t[at]), str(test.trades),
            f"{test.pnl_total:+.4%}", number(test.calmar),
        ]  # fmt: skip


def _heatmap(plan: Plan, found: InstrumentResult) -> str | None:
    """t-statistics over the first two parameters that vary, the median over all others."""
    grid = [params.as_dict() for params in plan.grid]
    axes = varied(plan.names, grid)
    if len(axes) < 2:
        return None
    (across, columns), (down, rows) = list(axes.items())[:2]
    values = {
        (columns.index(a), rows.index(d)): t
        for (a, d), t in medians(grid, found.trials, across, down).items()
    }
    return figure(
        heatmap(columns, rows, values), f"t-statistic by {across} (across) and {down} (down)"
    )
