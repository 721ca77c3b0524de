"""The report of an account's results: NAV, drawdown, and results by what they may depend on."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate

from sep_fx.bars import Bars
from sep_fx.sessions import LONDON, NEW_YORK_SESSION, SYDNEY, TOKYO

from sep_research.candle_charts import trade_charts
from sep_research.charts import curve
from sep_research.html_page import figure, page, table
from sep_research.results import ClosedTrade, Results

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_GROUPS: tuple[tuple[str, Callable[[ClosedTrade], str]], ...] = (
    ("instrument", lambda trade: trade.instrument),
    ("hour of opening (UTC)", lambda trade: f"{_time(trade):%H}"),
    ("weekday of opening (UTC)", lambda trade: f"{_DAYS[_time(trade).weekday()]}"),
    ("session of opening", lambda trade: _sessions_at(_time(trade))),
    ("exit", lambda trade: trade.exit or "unknown"),
)


def results_report(
    results: Results, candles: Mapping[str, Bars] | None = None, step: int = 0
) -> str:
    """The whole page.

    Args:
        candles: to draw the trades on, by instrument; None to draw none.
        step: length of a candle in seconds.
    """
    return page(results.title, _parts(results, candles, step))


def _parts(results: Results, candles: Mapping[str, Bars] | None, step: int) -> Iterator[str]:
    yield f"<h1>{html.escape(results.title)}</h1>"
    yield from _nav(results.nav)
    trades = results.trades
    wins = sum(trade.net > 0 for trade in trades)
    net = sum((trade.net for trade in trades), Decimal(0))
    yield f"<p>{len(trades)} closed trades, {wins} with a gain, net {net:+.2f}.</p>"
    if not trades:
        return
    for name, key in _GROUPS:
        yield f"<h2>By {html.escape(name)}</h2>"
        yield table((name, "trades", "with a gain", "net", "a trade"), _grouped(trades, key))
    yield from _costs(trades)
    if candles is not None:
        yield "<h2>Trades on candles</h2>"
        yield from trade_charts(trades, candles, step)


def _nav(nav: Sequence[tuple[str, Decimal]]) -> Iterator[str]:
    values = [value for _, value in nav]
    if len(values) < 2 or values[0] <= 0:
        yield "<p>Fewer than two days of NAV: no curve.</p>"
        return
    first, last = nav[0], nav[-1]
    peaks = list(accumulate(values, max))
    falls = [float(value / peak - 1) for value, peak in zip(values, peaks, strict=True)]
    yield (
        f"<p>NAV {first[1]:.2f} on {html.escape(first[0])}, {last[1]:.2f} on "
        f"{html.escape(last[0])}; largest drawdown {-min(falls):.3%}.</p>"
    )
    yield figure(curve([float(v / values[0] - 1) for v in values]), "NAV at ends of days, change")
    yield figure(curve(falls), "Drawdown from the highest NAV so far")


def _grouped(
    trades: Sequence[ClosedTrade], key: Callable[[ClosedTrade], str]
) -> Iterator[list[str]]:
    groups: dict[str, list[Decimal]] = {}
    for trade in trades:
        groups.setdefault(key(trade), []).append(trade.net)
    order = {name: at for at, name in enumerate(_DAYS)}
    for name in sorted(groups, key=lambda name: (order.get(name, 0), name)):
        net = groups[name]
        total = sum(net, Decimal(0))
        yield [
            html.escape(name), str(len(net)), str(sum(value > 0 for value in net)),
            f"{total:+.2f}", f"{total / len(net):+.2f}",
        ]  # fmt: skip


def _costs(trades: Sequence[ClosedTrade]) -> Iterator[str]:
    sums: dict[str, Decimal] = {}
    for trade in trades:
        for name, value in trade.parts.items():
            sums[name] = sums.get(name, Decimal(0)) + value
    if sums:
        yield "<h2>What the results consist of</h2>"
        yield table(("part", "sum"), ([n.replace("_", " "), f"{v:+.2f}"] for n, v in sums.items()))


def _time(trade: ClosedTrade) -> datetime:
    return datetime.fromtimestamp(trade.opened, tz=UTC)


def _sessions_at(at: datetime) -> str:
    """The sessions that were open, by the clocks of their places."""
    found = []
    for session in (SYDNEY, TOKYO, LONDON, NEW_YORK_SESSION):
        there = at.astimezone(session.zone)
        if session.opens <= there.time() < session.closes:
            found.append(session.name)
    return ", ".join(found) or "none"
