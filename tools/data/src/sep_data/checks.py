"""Checks of one series: times, prices, and the market's hours."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.sessions import MarketCalendar, fx_week_open

from sep_data.findings import Finding, Kind
from sep_data.screening import crossed, not_prices, wrong_extremes
from sep_data.weekends import in_weekend, shifts

_GAP_S = 1800  # quiet minutes have no candle; half an hour without one is a gap
_SPIKE_TIMES = 25.0  # a usual move
_SPIKE_LEAST = 2e-3
_SPIKE_RETURNS = 0.8  # of the move, within the next bar
_SPIKE_WINDOW = 500

Mask = npt.NDArray[np.bool_]


class SeriesCheck:
    """The faults of one series.

    Args:
        bars: as stored, in whatever order.
        now_s: the present; a bar that ends later is from the future.
    """

    def __init__(
        self,
        instrument: str,
        granularity: Granularity,
        bars: Bars,
        calendar: MarketCalendar,
        now_s: int,
    ) -> None:
        self._name = instrument
        self._granularity = granularity
        self._bar_s = granularity.seconds
        self._bars = bars
        self._fx = calendar is MarketCalendar.FX
        self._now = now_s

    def findings(self) -> Iterator[Finding]:
        """Every fault, one finding a kind."""
        if not len(self._bars):
            return
        yield from self._times()
        yield from self._prices()
        if self._fx and self._bar_s <= 3600:
            yield from self._hours()

    def _times(self) -> Iterator[Finding]:
        time, bar_s = self._bars.time, self._bar_s
        steps = np.diff(time)
        later = np.concatenate([[False], steps == 0])
        yield from self._marked(Kind.DUPLICATE, later, "more than one bar at a time")
        yield from self._marked(Kind.NOT_IN_ORDER, np.concatenate([[False], steps < 0]), "")
        short = np.concatenate([[False], (steps > 0) & (steps < bar_s)])
        yield from self._marked(Kind.WRONG_STEP, short, f"steps below the bar's {bar_s} s")
        if bar_s <= 3600:
            # Longer bars are aligned to New York's days, whose start moves in UTC.
            yield from self._marked(Kind.OFF_GRID, time % bar_s != 0, f"no multiple of {bar_s} s")
        forward = steps[steps > 0]
        if len(forward) > 1:
            values, counts = np.unique(forward, return_counts=True)
            usual = int(values[counts.argmax()])
            if usual != bar_s:
                yield self._finding(
                    Kind.BAR_LENGTH, len(forward), None, None,
                    f"most bars are {usual} s apart, those of {self._granularity} are {bar_s} s",
                )  # fmt: skip
        yield from self._marked(Kind.FUTURE, time + bar_s > self._now, "ends after the present")
        yield from self._gaps(steps)

    def _gaps(self, steps: npt.NDArray[np.int64]) -> Iterator[Finding]:
        least = max(_GAP_S, 2 * self._bar_s)
        time = self._bars.time
        found = []
        for i in np.flatnonzero(steps - self._bar_s > least):
            missing = self._open_seconds(int(time[i]) + self._bar_s, int(time[i + 1]))
            if missing > least:
                found.append((int(time[i]) + self._bar_s, missing))
        if found:
            longest = max(missing for _, missing in found)
            yield self._finding(
                Kind.GAP, len(found), found[0][0], found[-1][0],
                f"the longest lacks {longest / 3600:.1f} h of open market",
            )  # fmt: skip

    def _open_seconds(self, start: int, end: int) -> int:
        if not self._fx:
            return end - start
        if self._granularity is Granularity.D:
            return max(0, end - start - 4 * 86_400)
        step = 300 if end - start < 30 * 86_400 else 3600
        return step * sum(fx_week_open(at) for at in range(start, end, step))

    def _prices(self) -> Iterator[Finding]:
        bars = self._bars
        prices = np.column_stack(
            [bars.bid_o, bars.bid_h, bars.bid_l, bars.bid_c,
             bars.ask_o, bars.ask_h, bars.ask_l, bars.ask_c]
        )  # fmt: skip
        bad = not_prices(prices)
        yield from self._marked(Kind.NOT_A_PRICE, bad, "not finite and above 0")
        yield from self._marked(Kind.HIGH_LOW, wrong_extremes(prices) & ~bad, "high or low")
        yield from self._marked(Kind.CROSSED, crossed(prices) & ~bad, "bid above ask")
        if not bad.any():
            yield from self._marked(
                Kind.SPIKE, spikes(bars), f"left and returned, {_SPIKE_TIMES:g} times a usual move"
            )

    def _hours(self) -> Iterator[Finding]:
        time, bars = self._bars.time, self._bars
        if (np.diff(time) < 0).any():
            return
        closed = in_weekend(time)
        flat = (bars.bid_h == bars.bid_l) & (bars.ask_h == bars.ask_l)
        yield from self._marked(Kind.FLAT_WEEKEND, closed & flat, "bars of a weekend, no move")
        yield from self._marked(Kind.MARKET_CLOSED, closed & ~flat, "bars of a weekend")
        if off := shifts(time, self._bar_s):
            hours = sorted({h for _, h in off})
            yield self._finding(
                Kind.SHIFTED_TIME_ZONE, len(off), off[0][0], off[-1][0],
                f"weeks begin {', '.join(f'{h:+d}' for h in hours)} h off Sunday 17:00 New York",
            )  # fmt: skip

    def _marked(self, kind: Kind, mask: Mask, detail: str) -> Iterator[Finding]:
        at = np.flatnonzero(mask)
        if len(at):
            time = self._bars.time
            yield self._finding(kind, len(at), int(time[at[0]]), int(time[at[-1]]), detail)

    def _finding(
        self, kind: Kind, count: int, first: int | None, last: int | None, detail: str
    ) -> Finding:
        return Finding(
            instrument=self._name,
            granularity=self._granularity.value,
            kind=kind,
            count=count,
            first=first,
            last=last,
            detail=detail,
        )


def spikes(bars: Bars) -> Mask:
    """Bars that leave their neighbours by far, and whose neighbours agree with each other.

    The move is that of the bar's extreme mid from the close before it; a usual move is the median
    of the moves of the 500 bars around. News moves the price and leaves it there: no spike.
    """
    count = len(bars)
    found = np.zeros(count, np.bool_)
    if count < 3:
        return found
    mid = np.log(bars.mid)
    high = np.log((bars.bid_h + bars.ask_h) / 2)
    low = np.log((bars.bid_l + bars.ask_l) / 2)
    usual = np.empty(count)
    reach = np.maximum(high[1:] - mid[:-1], mid[:-1] - low[1:])
    for start in range(0, count, _SPIKE_WINDOW):
        part = slice(max(start - _SPIKE_WINDOW // 2, 0), start + _SPIKE_WINDOW * 3 // 2)
        usual[start : start + _SPIKE_WINDOW] = np.median(reach[part]) if len(reach[part]) else 0.0
    move = np.zeros(count)
    move[1:] = reach
    # Where the price stands after the bar and the next one, compared with where it stood before.
    after = np.zeros(count)
    after[1:-1] = np.abs(mid[2:] - mid[:-2])
    far = (move > _SPIKE_TIMES * usual) & (move > _SPIKE_LEAST)
    found[1:-1] = (far & (after < (1 - _SPIKE_RETURNS) * move))[1:-1]
    return found
