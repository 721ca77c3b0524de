"""Plain reference of kernel and backtest: slow, simple, and sharing no code with the service.

Events are named, windows are lists, and every bar recomputes its window.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

L, W = 6, 64
NEW_YORK = ZoneInfo("America/New_York")


def bit(m: Sequence[float], t: int) -> int:
    """1 for a step against the prevailing short trend."""

    def difference(a: float, b: float) -> float:
        return 0.0 if abs(a - b) < 1e-9 else a - b

    return 1 if difference(m[t], m[t - 1]) * difference(m[t], m[t - L]) < 0 else 0


def events_of(bits: Sequence[int]) -> list[str]:
    """The event of each pair of neighbouring bits."""
    kinds = {(0, 0): "null", (0, 1): "flip", (1, 0): "flip", (1, 1): "rupture"}
    return [kinds[pair] for pair in pairwise(bits)]


def shares(events: Sequence[str]) -> tuple[float, float, float]:
    """Shares of nulls, flips and ruptures."""
    n, f, r = (events.count(kind) / len(events) for kind in ("null", "flip", "rupture"))
    return n, f, r


def clamp(x: float, low: float, high: float) -> float:
    """x limited to the range."""
    return max(low, min(high, x))


def entropy_of(events: Sequence[str]) -> float:
    """Normalised entropy of the event kinds."""
    total = -sum(q * math.log2(q) for q in shares(events) if q > 0)
    return clamp(total / math.log2(3), 0.05, 1)


def window(m: Sequence[float], t: int) -> dict[str, float]:
    """The six figures of the window that ends at t, t >= 69."""
    bits = [bit(m, i) for i in range(t - W + 1, t + 1)]
    events = events_of(bits)
    _, f, r = shares(events)
    h = entropy_of(events)
    pattern = clamp(0.6 * (1 - h) + 0.3 * (1 - r) + 0.1 * (1 - f), 0.01, 0.99)
    d = clamp(0.5 * entropy_of(events_of(bits[:20])), 0.01, 1)
    v = [float(bits[0])]
    v += [
        math.fsum((bits[j] - bits[0]) * math.exp(-d * j) for j in range(1, k + 1))
        for k in range(1, W)
    ]
    mean = math.fsum(v) / W
    fit = 1 / (1 + math.fsum((x - mean) ** 2 for x in v) / W)
    c = 0.7 * pattern + 0.3 * fit
    if abs(v[63]) < 2:
        c = c / (1 + 0.1 * abs(v[63]))
    returns = [math.log(m[i] / m[i - 1]) for i in range(t - W + 1, t + 1)]
    average = math.fsum(returns) / W
    followers = [b for a, b in pairwise(events) if a != "rupture"]
    return {
        "coherence": clamp(c, 0, 1),
        "stability": 1 - r,
        "rupture": r,
        "entropy": h,
        "hazard": followers.count("rupture") / len(followers) if followers else 0.0,
        "sigma_eff": math.sqrt(math.fsum((x - average) ** 2 for x in returns) / W),
    }


@dataclass
class Position:
    """An open position."""

    side: int
    entry: float
    entry_time: int
    stop: float
    target: float


@dataclass
class Result:
    """Result of a run."""

    trades: list[dict[str, Any]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    marks: list[tuple[int | None, float]] = field(default_factory=list)
    """At each bar the entry time of the open position, and its return so far."""
    position: Position | None = None


def rollovers_in(after: int, until: int) -> int:
    """How often it is 17:00 in New York in ``(after, until]``, whole minutes."""
    first = after // 60 * 60 + 60
    clocks = (datetime.fromtimestamp(at, NEW_YORK) for at in range(first, until + 1, 60))
    return sum((clock.hour, clock.minute) == (17, 0) for clock in clocks)


def run(
    bars: Any,
    figures: Sequence[dict[str, float] | None],
    p: Any,
    g: int,
    near: Any,
    costs: Any = None,
) -> Result:
    """The strict-span backtest, step by step as in ``docs/strategy.md``.

    Args:
        figures: of each bar, None before the first window.
        near: whether the session is closed or near its close at an instant.
        costs: beside the spread; None for none.
    """
    result = Result()
    position: Position | None = None
    pending: tuple[Any, ...] | None = None
    last_exit: int | None = None
    realised = 0.0
    d = p.direction_lookback
    mids = [float(b + a) / 2 for b, a in zip(bars.bid_c, bars.ask_c, strict=True)]

    def worse(price: float, buys: bool, spread: float) -> float:
        if costs is None:
            return price
        slipped: float = price * costs.slippage_bps / 1e4 + costs.slippage_spreads * spread
        return price + slipped if buys else price - slipped

    def financing(until: int) -> float:
        assert position is not None
        if costs is None or not costs.has_financing:
            return 0.0
        bps: float = costs.financing_long_bps if position.side == 1 else costs.financing_short_bps
        return bps / 1e4 * rollovers_in(position.entry_time, until)

    def close(price: float, at: int, reason: str, spread: float) -> None:
        nonlocal position, last_exit, realised, pending
        assert position is not None
        if reason != "take_profit":
            price = worse(price, position.side == -1, spread)
        ret = position.side * (price / position.entry - 1) - financing(at)
        pending = None
        realised += ret
        result.trades.append(
            {
                "entry_time": position.entry_time,
                "exit_time": at,
                "side": position.side,
                "entry": position.entry,
                "exit": price,
                "ret": ret,
                "reason": reason,
            }
        )
        position, last_exit = None, at

    for t in range(len(bars)):
        begin = int(bars.time[t])
        end = begin + g
        delay = 0 if costs is None else costs.delay_sec
        opening = float(bars.ask_o[t] - bars.bid_o[t])
        closing = float(bars.ask_c[t] - bars.bid_c[t])
        # 1
        waits = pending is not None and delay and begin < pending[1] + g + delay
        if waits:
            pass
        elif pending is not None and pending[0] == "entry":
            _, made, side, distance = pending
            pending = None
            if begin - made <= 5 * g + delay:
                entry = float(bars.ask_o[t] if side == 1 else bars.bid_o[t])
                entry = worse(entry, side == 1, opening)
                position = Position(
                    side, entry, begin, entry - side * distance,
                    entry + side * p.reward_risk * distance,
                )  # fmt: skip
        elif pending is not None:
            assert position is not None
            price = float(bars.bid_o[t] if position.side == 1 else bars.ask_o[t])
            close(price, begin, pending[2], opening)
        # 2
        if position is not None and position.side == 1:
            if bars.bid_l[t] <= position.stop:
                close(min(position.stop, float(bars.bid_o[t])), begin, "stop_loss", opening)
            elif bars.bid_h[t] >= position.target:
                close(max(position.target, float(bars.bid_o[t])), begin, "take_profit", opening)
        elif position is not None:
            if bars.ask_h[t] >= position.stop:
                close(max(position.stop, float(bars.ask_o[t])), begin, "stop_loss", opening)
            elif bars.ask_l[t] <= position.target:
                close(min(position.target, float(bars.ask_o[t])), begin, "take_profit", opening)
        # 3
        if position is not None and near(end):
            price = float(bars.bid_c[t] if position.side == 1 else bars.ask_c[t])
            close(price, end, "session", closing)
        # 4
        now, then = figures[t], figures[t - d] if t >= d else None
        if now is not None and then is not None and pending is None:
            slope = 1e4 * (mids[t] / mids[t - d] - 1)
            direction = 0
            if abs(slope) >= p.dir_threshold_bps and now["coherence"] >= then["coherence"]:
                direction = 1 if slope > 0 else -1 if slope < 0 else 0
            broken = now["rupture"] > p.max_rupture or now["stability"] < p.min_stability
            spread = float(bars.ask_c[t] - bars.bid_c[t])
            distance = (
                p.bracket_sigma_k * now["sigma_eff"] * math.sqrt(p.bracket_horizon_bars) * mids[t]
            )
            if position is not None:
                if end - position.entry_time >= p.exit_cooldown_sec:
                    if direction == -position.side:
                        pending = ("exit", begin, "reversal")
                    elif broken:
                        pending = ("exit", begin, "rupture")
            elif (
                direction != 0
                and not broken
                and now["coherence"] >= p.c_min
                and now["entropy"] <= p.max_entropy
                and 1e4 * spread / mids[t] <= p.max_spread_bps
                and not near(end)
                and (last_exit is None or end - last_exit >= p.entry_cooldown_sec)
                and distance >= p.min_stop_spreads * spread
            ):
                pending = ("entry", begin, direction, distance)
        # 5
        open_return = 0.0
        if position is not None:
            mark = float(bars.bid_c[t] if position.side == 1 else bars.ask_c[t])
            open_return = position.side * (mark / position.entry - 1) - financing(end)
        result.equity.append(realised + open_return)
        result.marks.append((position.entry_time if position else None, open_return))
    result.position = position
    return result


def slice_summary(bars: Any, result: Result, g: int, days: int) -> dict[str, float]:
    """Figures of a slice; its curve is rebuilt bar by bar from its trades."""
    since = int(bars.time[-1]) + g - days * 86_400
    held = [trade for trade in result.trades if trade["entry_time"] >= since]
    peak = fall = 0.0
    for t, (entry_time, open_return) in enumerate(result.marks):
        end = int(bars.time[t]) + g
        # An exit at a bar's open or inside it carries the bar's start, one at its end the end.
        value = math.fsum(
            trade["ret"]
            for trade in held
            if trade["exit_time"] < end
            or (trade["reason"] == "session" and trade["exit_time"] <= end)
        )
        if entry_time is not None and entry_time >= since:
            value += open_return
        peak = max(peak, value)
        fall = max(fall, peak - value)
    pnl = math.fsum(trade["ret"] for trade in held)
    wins = sum(trade["ret"] > 0 for trade in held)
    if not held:
        calmar = 0.0
    elif fall == 0:
        calmar = 100.0 if pnl > 0 else 0.0
    else:
        calmar = min(pnl / fall, 100.0)
    return {
        "trades": len(held),
        "wins": wins,
        "win_rate": wins / len(held) if held else 0.0,
        "pnl_total": pnl,
        "max_drawdown": fall,
        "calmar": calmar,
    }
