"""The compiled loop of the strict-span backtest: one pass over the bars, one position at a time."""

import math
from typing import Any

import numpy as np

from sep_evaluator.domain.backtest_skips import BROKEN, CLOSES, DOWN, UP, Marks, quiet_prices
from sep_evaluator.domain.backtest_state import (
    ASK_C,
    ASK_H,
    ASK_L,
    ASK_O,
    BID_C,
    BID_H,
    BID_L,
    BID_O,
    ENTRY,
    EXIT,
    NOTHING,
    REVERSAL,
    RUPTURE_EXIT,
    SESSION,
    STOP,
    TAKE_PROFIT,
    Directions,
    Prices,
    Record,
)
from sep_evaluator.domain.jit import jit
from sep_evaluator.domain.kernel_loops import COHERENCE, ENTROPY, RUPTURE, SIGMA_EFF, STABILITY
from sep_evaluator.domain.kernel_tables import Floats, Ints

_FILL_WITHIN = 5  # granularities between the signal's bar and the bar it may fill at
_OPEN = -1


@jit
def fill_direction(
    start: int, stop: int, mid: Floats, coherence: Floats, rule: Any, direction: Directions
) -> None:
    """Write the direction at bars ``start .. stop-1``: 1, -1, or 0 for none.

    It is 0 also where coherence is undefined at either end of the lookback.
    """
    lookback, threshold = rule.direction_lookback, rule.dir_threshold_bps
    blind = min(max(start, lookback), stop)
    direction[start:blind] = 0
    now, then = mid[blind:stop], mid[blind - lookback :]
    coherence_now, coherence_then = coherence[blind:stop], coherence[blind - lookback :]
    out = direction[blind:stop]
    for i in range(len(out)):
        slope = 1e4 * (now[i] / then[i] - 1.0)
        counts = (abs(slope) >= threshold) & (coherence_now[i] >= coherence_then[i])
        out[i] = (np.int8(slope > 0.0) - np.int8(slope < 0.0)) * np.int8(counts)


@jit
def _rolled(rollovers: Ints, after: int, until: int) -> int:
    """How many instants lie in ``(after, until]``."""
    first = np.searchsorted(rollovers, after, "right")
    return int(np.searchsorted(rollovers, until, "right") - first)


@jit
def advance(  # noqa: PLR0912, PLR0915 - one call per step would cost more than the step
    start: int,
    stop: int,
    time: Ints,
    prices: Prices,
    mid: Floats,
    figures: Floats,
    direction: Directions,
    closing: Any,
    granularity: int,
    rule: Any,
    books: Record,
    trades: Record,
    equity: Floats,
    cost: Any,
    rollovers: Ints,
    marks: Marks,
    possible: Ints,
) -> None:
    """Advance the book over bars ``start .. stop-1``, in the order of ``docs/strategy.md``.

    Args:
        prices: bid then ask open, high, low, close, shape (n,) each.
        figures: shape (6, n), n being stop or more here and below.
        direction: at each bar, shape (n,).
        closing: whether the session is closed or about to close at each bar's end.
        rule: one record of the parameters.
        books: one record, read at the start and written at the end.
        trades: capacity for one trade per bar after ``books[0].trades``; length 0 to record
            none.
        equity: shape (n,); length 0 to record none.
        cost: one record of the costs beside the spread.
        rollovers: instants of financing, ascending; length 0 without financing.
        marks, possible: as ``fill_marks`` writes them, with which bars are skipped faster to the
            same figures. Only without equity; both of length 0 to look at each bar.
    """
    book = books[0]
    side, entry, entry_time = book.side, book.entry, book.entry_time
    entry_index, stop_at, target = book.entry_index, book.stop, book.target
    pending, pending_side = book.pending, book.pending_side
    pending_reason, pending_time = book.pending_reason, book.pending_time
    distance, last_exit, realised = book.pending_distance, book.last_exit, book.realised
    count, wins, peak, drawdown = book.trades, book.wins, book.peak, book.drawdown

    bid_o, bid_h, bid_l, bid_c = prices[BID_O], prices[BID_H], prices[BID_L], prices[BID_C]
    ask_o, ask_h, ask_l, ask_c = prices[ASK_O], prices[ASK_H], prices[ASK_L], prices[ASK_C]
    coherence, stability, rupture = figures[COHERENCE], figures[STABILITY], figures[RUPTURE]
    entropy, sigma = figures[ENTROPY], figures[SIGMA_EFF]
    keep_equity, keep_trades = len(equity) > 0, len(trades) > 0
    c_min, max_entropy = rule.c_min, rule.max_entropy
    max_rupture, min_stability = rule.max_rupture, rule.min_stability
    reach, horizon = rule.bracket_sigma_k, math.sqrt(rule.bracket_horizon_bars)
    slip, slip_spreads, delay = cost.slippage, cost.slippage_spreads, cost.delay
    financed, carry = len(rollovers) > 0, 0.0
    marked_bars, following = len(marks) > 0, 0

    t = start
    while t < stop:
        if side == 0 and pending == NOTHING and marked_bars:
            while following < len(possible):
                at = possible[following]
                if (at >= t) & (coherence[at] >= c_min) & (entropy[at] <= max_entropy):
                    break
                following += 1
            t = possible[following] if following < len(possible) else stop
        elif side == 0 and pending == NOTHING:
            # No position and no pending order: skip the bars that can't signal. The tests are
            # not joined by `and`, since each alone would defeat the branch predictor.
            while t < stop:
                ready = (direction[t] != 0) & (coherence[t] >= c_min)
                ready &= (entropy[t] <= max_entropy) & (rupture[t] <= max_rupture)
                if ready & (stability[t] >= min_stability):
                    break
                if keep_equity:
                    equity[t] = realised
                t += 1
        elif pending == NOTHING and not financed:
            # Open position, no pending order: bars without an event only mark to market.
            down, up = (bid_l, bid_h) if side > 0 else (ask_l, ask_h)
            floor, ceiling = min(stop_at, target), max(stop_at, target)
            out = bid_c if side > 0 else ask_c
            if marked_bars:
                watched = CLOSES | BROKEN | (DOWN if side > 0 else UP)
                least, most = quiet_prices(side, entry, realised, peak, drawdown)
                while t < stop:
                    event = (down[t] <= floor) | (up[t] >= ceiling)
                    if event | ((marks[t] & watched) != 0):
                        break
                    if (out[t] < least) | (out[t] > most):
                        marked = realised + side * (out[t] / entry - 1.0)
                        peak = max(peak, marked)
                        drawdown = max(drawdown, peak - marked)
                        least, most = quiet_prices(side, entry, realised, peak, drawdown)
                    t += 1
            while t < stop and not marked_bars:
                event = (down[t] <= floor) | (up[t] >= ceiling) | closing[t]
                event |= (direction[t] == -side) | (rupture[t] > max_rupture)
                if event | (stability[t] < min_stability):
                    break
                marked = realised + side * (out[t] / entry - 1.0)
                peak = max(peak, marked)
                drawdown = max(drawdown, peak - marked)
                if keep_equity:
                    equity[t] = marked
                t += 1
        if t == stop:
            break
        begin = time[t]
        end = begin + granularity
        reason = _OPEN
        exit_price = 0.0
        exit_time = begin

        # 1. The order that an earlier bar left pending.
        waits = pending != NOTHING and delay > 0 and begin < pending_time + granularity + delay
        slipped = slip_spreads * (ask_o[t] - bid_o[t])
        if waits:
            pass
        elif pending == ENTRY:
            if begin - pending_time <= _FILL_WITHIN * granularity + delay:
                side, entry_time, entry_index = pending_side, begin, t
                entry = ask_o[t] if side > 0 else bid_o[t]
                entry += side * (slip * entry + slipped)
                stop_at = entry - side * distance
                target = entry + side * (rule.reward_risk * distance)
        elif pending == EXIT:
            reason = pending_reason
            exit_price = bid_o[t] if side > 0 else ask_o[t]
        if not waits:
            pending = NOTHING

        if side != 0:
            # 2. Stop loss, then take profit.
            if reason == _OPEN:
                if side > 0:
                    if bid_l[t] <= stop_at:
                        reason, exit_price = STOP, min(stop_at, bid_o[t])
                    elif bid_h[t] >= target:
                        reason, exit_price = TAKE_PROFIT, max(target, bid_o[t])
                elif ask_h[t] >= stop_at:
                    reason, exit_price = STOP, max(stop_at, ask_o[t])
                elif ask_l[t] <= target:
                    reason, exit_price = TAKE_PROFIT, min(target, ask_o[t])
            # 3. The session closes.
            if reason == _OPEN and closing[t]:
                reason, exit_time = SESSION, end
                exit_price = bid_c[t] if side > 0 else ask_c[t]
                slipped = slip_spreads * (ask_c[t] - bid_c[t])
            if reason != _OPEN:
                if reason != TAKE_PROFIT:
                    exit_price -= side * (slip * exit_price + slipped)
                ret = side * (exit_price / entry - 1.0)
                if financed:
                    carry = cost.financing_long if side > 0 else cost.financing_short
                    ret -= carry * _rolled(rollovers, entry_time, exit_time)
                realised += ret
                wins += ret > 0.0
                if keep_trades:
                    trade = trades[count]
                    trade.entry_time = entry_time
                    trade.exit_time = exit_time
                    trade.side = side
                    trade.entry = entry
                    trade.exit = exit_price
                    trade.ret = ret
                    trade.reason = reason
                    trade.entry_index = entry_index
                    trade.realised = realised
                    trade.wins = wins
                count += 1
                side = 0
                pending = NOTHING
                last_exit = exit_time

        # 4. The signal. A direction implies that coherence is defined at both ends of the
        # lookback; so does a position, since only a direction opens one.
        broken = rupture[t] > max_rupture or stability[t] < min_stability
        if pending != NOTHING:
            pass
        elif side != 0:
            if end - entry_time >= rule.exit_cooldown_sec:
                if direction[t] == -side:
                    pending, pending_reason, pending_time = EXIT, REVERSAL, begin
                elif broken:
                    pending, pending_reason, pending_time = EXIT, RUPTURE_EXIT, begin
        elif (
            direction[t] != 0
            and not broken
            and coherence[t] >= c_min
            and entropy[t] <= max_entropy
            and not closing[t]
            and end - last_exit >= rule.entry_cooldown_sec
        ):
            spread = ask_c[t] - bid_c[t]
            distance = reach * sigma[t] * horizon * mid[t]
            if (
                1e4 * spread / mid[t] <= rule.max_spread_bps
                and distance >= rule.min_stop_spreads * spread
            ):
                pending, pending_side, pending_time = ENTRY, direction[t], begin

        # 5. Mark to market.
        marked = realised
        if side > 0:
            marked += bid_c[t] / entry - 1.0
        elif side < 0:
            marked -= ask_c[t] / entry - 1.0
        if financed and side != 0:
            carry = cost.financing_long if side > 0 else cost.financing_short
            marked -= carry * _rolled(rollovers, entry_time, end)
        peak = max(peak, marked)
        drawdown = max(drawdown, peak - marked)
        if keep_equity:
            equity[t] = marked
        t += 1

    book.side, book.entry, book.entry_time = side, entry, entry_time
    book.entry_index, book.stop, book.target = entry_index, stop_at, target
    book.pending, book.pending_side = pending, pending_side
    book.pending_reason, book.pending_time = pending_reason, pending_time
    book.pending_distance, book.last_exit, book.realised = distance, last_exit, realised
    book.trades, book.wins, book.peak, book.drawdown = count, wins, peak, drawdown
