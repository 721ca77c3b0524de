"""Trades drawn on candles, as SVG text: an instrument's whole range, and single trades."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sep_fx.bars import Bars
from sep_fx.instants import format_seconds

from sep_research.html_page import figure
from sep_research.results import ClosedTrade

Floats = npt.NDArray[np.float64]

_WIDTH, _HEIGHT, _EDGE, _RIGHT = 800, 260, 20, 70
_UP, _DOWN, _GAIN, _LOSS = "#3b7dd8", "#8c959f", "#0a6b3b", "#c0392b"
_MOST_CANDLES = 200
_AROUND = 30  # candles before the entry and after the exit of a single trade
_SINGLE = 5


@dataclass(frozen=True, slots=True)
class Candles:
    """Mids: starts in seconds, and open, high, low, close, shape (n,) each; ``step`` seconds."""

    time: npt.NDArray[np.int64]
    prices: tuple[Floats, Floats, Floats, Floats]
    step: int

    @classmethod
    def of(cls, bars: Bars, step: int) -> "Candles":
        """The candles of bars, several joined to one where there are too many to see."""
        time = np.asarray(bars.time)
        mids = [(getattr(bars, f"bid_{p}") + getattr(bars, f"ask_{p}")) / 2 for p in "ohlc"]
        joined = max(1, -(-int(time[-1] + step - time[0]) // (step * _MOST_CANDLES)))
        wide = step * joined
        starts = np.flatnonzero(np.diff((time - time[0]) // wide, prepend=-1))
        ends = np.append(starts[1:], len(time)) - 1
        high = np.maximum.reduceat(mids[1], starts)
        low = np.minimum.reduceat(mids[2], starts)
        return cls(time[starts], (mids[0][starts], high, low, mids[3][ends]), wide)


def trade_charts(
    trades: Sequence[ClosedTrade], bars: Mapping[str, Bars], step: int
) -> Iterator[str]:
    """For each instrument all of its trades, then its best and worst ones bar by bar.

    Args:
        bars: candles by instrument; trades of the others are left out, and named.
        step: length of a bar in seconds.
    """
    for name in sorted({trade.instrument for trade in trades}):
        found = [t for t in trades if t.instrument == name and t.is_drawable]
        held = bars.get(name)
        if held is None or not len(held) or not found:
            yield f"<p>{html.escape(name)}: no candles of its trades.</p>"
            continue
        first, last = min(t.opened for t in found), max(t.closed for t in found)
        yield from _chart(held, found, first, last, step, f"{name}: {len(found)} trades")
        ranked = sorted(found, key=lambda t: (t.net, t.opened))
        worst = ranked[:_SINGLE]
        best = [t for t in reversed(ranked[-_SINGLE:]) if t not in worst]
        yield f"<details><summary>{html.escape(name)}: best and worst trades</summary>"
        for trade in (*best, *worst):
            caption = (
                f"{name} {'long' if trade.side > 0 else 'short'}, "
                f"{format_seconds(trade.opened)} to {format_seconds(trade.closed)}, "
                f"net {trade.net:+.2f}, {trade.exit}"
            )
            yield from _chart(held, [trade], trade.opened, trade.closed, step, caption)
        yield "</details>"


def _chart(
    bars: Bars, trades: Sequence[ClosedTrade], first: int, last: int, step: int, caption: str
) -> Iterator[str]:
    shown = bars.between(first - _AROUND * step, last + (_AROUND + 1) * step)
    if len(shown):
        yield figure(_svg(Candles.of(shown, step), trades), caption)


def _svg(candles: Candles, trades: Sequence[ClosedTrade]) -> str:
    opens, highs, lows, closes = candles.prices
    marks = [price for t in trades for price in (t.open_price, t.close_price)]
    low, high = min(float(lows.min()), *marks), max(float(highs.max()), *marks)
    height = (high - low) or 1.0
    # Candles stand side by side: a closed market takes no space.
    place = (_WIDTH - _EDGE - _RIGHT) / len(candles.time)

    def y(price: float) -> float:
        return _HEIGHT - _EDGE - (price - low) / height * (_HEIGHT - 2 * _EDGE)

    def x(time: int) -> float:
        at = int(np.searchsorted(candles.time, time, "right")) - 1
        at = min(max(at, 0), len(candles.time) - 1)
        share = min(1.0, max(0.0, (time - int(candles.time[at])) / candles.step))
        return _EDGE + (at + share) * place

    parts = []
    for i in range(len(candles.time)):
        middle, body = _EDGE + (i + 0.5) * place, max(place * 0.6, 0.6)
        top, bottom = y(max(opens[i], closes[i])), y(min(opens[i], closes[i]))
        colour = _UP if closes[i] >= opens[i] else _DOWN
        parts.append(
            f'<path d="M{middle:.1f} {y(highs[i]):.1f}V{y(lows[i]):.1f}" stroke="{colour}"/>'
            f'<rect x="{middle - body / 2:.1f}" y="{top:.1f}" width="{body:.1f}" '
            f'height="{max(bottom - top, 0.5):.1f}" fill="{colour}"/>'
        )
    parts += [_mark(t, x(t.opened), y(t.open_price), x(t.closed), y(t.close_price)) for t in trades]
    parts.append(_text(_WIDTH - _RIGHT + 4, y(high) + 4, f"{high:.5g}"))
    parts.append(_text(_WIDTH - _RIGHT + 4, y(low) + 4, f"{low:.5g}"))
    parts.append(_text(_EDGE, _HEIGHT - 4, format_seconds(int(candles.time[0]))))
    parts.append(_text(_WIDTH - _RIGHT - 130, _HEIGHT - 4, format_seconds(int(candles.time[-1]))))
    head = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img">'
    return f"{head}{''.join(parts)}</svg>"


def _mark(trade: ClosedTrade, x1: float, y1: float, x2: float, y2: float) -> str:
    """A triangle in the trade's direction at the entry, a line to the exit, a circle there."""
    colour = _GAIN if trade.net > 0 else _LOSS
    tip = -7 if trade.side > 0 else 7
    return (
        f'<path class="trade" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" '
        'stroke-width="1.5"/>'
        f'<path d="M{x1 - 4:.1f} {y1 - tip:.1f}h8L{x1:.1f} {y1:.1f}z" fill="{colour}"/>'
        f'<circle cx="{x2:.1f}" cy="{y2:.1f}" r="3" fill="{colour}"/>'
    )


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" fill="currentColor">{text}</text>'
