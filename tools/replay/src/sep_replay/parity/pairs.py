"""Trades of live and replay that belong together, and what their results differ by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_replay.parity.causes import Cause
from sep_replay.parity.days import OPEN, DayTrade
from sep_replay.parity.missing import Attribution

_CENT = Decimal("0.000001")
_LATE_BARS_MS = 600_000
"""Entries of one side that are at most this far apart are one entry, made at another time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A trade of live and the one of the replay; one of them may be None."""

    live: DayTrade | None
    replay: DayTrade | None

    @property
    def first(self) -> DayTrade:
        """The one that there is; live's of two."""
        trade = self.live or self.replay
        assert trade is not None  # noqa: S101  a pair is made of at least one
        return trade


def pair_up(live: Sequence[DayTrade], replay: Sequence[DayTrade], tolerance_ms: int) -> list[Pair]:
    """Pairs: on the same candle and side; then of the same side at nearly the same time."""
    left = list(replay)
    pairs: list[Pair] = []
    alone: list[DayTrade] = []
    for trade in live:
        same = next((r for r in left if _key(r) == _key(trade) and trade.signal_ms), None)
        if same is None:
            alone.append(trade)
            continue
        left.remove(same)
        pairs.append(Pair(live=trade, replay=same))
    for trade in alone:
        near = [r for r in left if trade.signal_ms and _near(trade, r, tolerance_ms)]
        found = min(near, key=lambda r: abs(r.opened_ms - trade.opened_ms), default=None)
        if found is not None:
            left.remove(found)
        pairs.append(Pair(live=trade, replay=found))
    return pairs + [Pair(live=None, replay=trade) for trade in left]


def _key(trade: DayTrade) -> tuple[str, int, int]:
    return trade.instrument, trade.side, trade.signal_ms


def _near(live: DayTrade, replay: DayTrade, tolerance_ms: int) -> bool:
    apart = abs(live.opened_ms - replay.opened_ms)
    same = (live.instrument, live.side) == (replay.instrument, replay.side)
    return same and apart <= tolerance_ms + _LATE_BARS_MS


def split(
    live: DayTrade,
    replay: DayTrade,
    rate: Decimal,
    attribution: Attribution,
    tolerance_ms: int,
) -> Iterator[tuple[Cause, Decimal, str]]:
    """The parts of ``live.net - replay.net``: size, entry, exit, and the broker's own amounts.

    The size counts at the replay's result, prices at the units of live. Parts of nothing are left
    out; what is left belongs to financing, conversion and commission.
    """
    whole = live.net - replay.net
    units, planned = abs(live.units), abs(replay.units)
    size = (replay.net * (units / planned - 1)).quantize(_CENT) if units != planned else Decimal(0)
    entry = _cash(live, replay.open_price - live.open_price, units, rate)
    exit_ = _cash(live, live.close_price - replay.close_price, units, rate)
    rest = whole - size - entry - exit_
    if size:
        yield (
            Cause.LIMIT if live.cut != replay.cut else Cause.SIZE,
            size,
            f"{units:f} units instead of {planned:f}",
        )
    if entry:
        yield (
            attribution.of_entry(live, replay, tolerance_ms),
            entry,
            f"entered at {live.open_price:f} instead of {replay.open_price:f}",
        )
    if exit_ or live.exit != replay.exit:
        cause = attribution.of_exit(live, replay, tolerance_ms)
        words = f"{_exit(live)} instead of {_exit(replay)}"
        if exit_:
            yield cause, exit_, words
    if rest:
        yield Cause.BROKER, rest, "financing, conversion, commission"


def _cash(live: DayTrade, move: Decimal, units: Decimal, rate: Decimal) -> Decimal:
    return (live.side * move * units * rate).quantize(_CENT)


def _exit(trade: DayTrade) -> str:
    return f"{trade.exit} at {trade.close_price:f}" if trade.exit != OPEN else "open at the end"
