"""The differences of two days, each with its cause and its money; they add up exactly."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_replay.parity.causes import Cause
from sep_replay.parity.days import ZERO, DayTrade, Mark, TradingDay
from sep_replay.parity.missing import Attribution
from sep_replay.parity.pairs import Pair, pair_up, split


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference: ``cash`` is what live earned more than the replay, in home currency.

    ``live_id`` and ``replay_id`` are the trades, empty where a side has none; ``ts_ms`` is the
    opening of the earlier one.
    """

    cause: Cause
    cash: Decimal
    instrument: str
    ts_ms: int
    what: str
    live_id: str = ""
    replay_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """A day's differences; their cash adds up to ``live_net - replay_net``."""

    live_net: Decimal
    replay_net: Decimal
    live_trades: int
    replay_trades: int
    differences: Sequence[Difference]

    def by_cause(self) -> dict[Cause, tuple[int, Decimal]]:
        """Number and cash of the differences of each cause, all causes in their order."""
        return {
            cause: (len(found), _total(d.cash for d in found))
            for cause in Cause
            for found in [[d for d in self.differences if d.cause is cause]]
        }


def compare_days(live: TradingDay, replay: TradingDay, mark: Mark, tolerance_ms: int) -> Divergence:
    """The differences of a day as it was traded from its replay.

    Args:
        tolerance_ms: how far apart two decisions on one candle may be: the cadences of the
            services are not in step.
    """
    pairs = pair_up(live.trades, replay.trades, tolerance_ms)
    attribution = Attribution(live, replay, tolerance_ms)
    found: list[Difference] = []
    for pair in sorted(pairs, key=_opened):
        for cause, cash, what in _parts(pair, attribution, mark, tolerance_ms):
            found.append(_difference(pair, cause, cash, what))
            attribution.note(pair, cause, cash)
    return Divergence(
        live_net=_total(t.net for t in live.trades),
        replay_net=_total(t.net for t in replay.trades),
        live_trades=len(live.trades),
        replay_trades=len(replay.trades),
        differences=found,
    )


def _parts(
    pair: Pair, attribution: Attribution, mark: Mark, tolerance_ms: int
) -> Iterable[tuple[Cause, Decimal, str]]:
    live, replay = pair.live, pair.replay
    if live is None and replay is not None:
        cause, why = attribution.of_missing(replay)
        return [(cause, -replay.net, f"not traded live: {why}")]
    if replay is None and live is not None:
        cause, why = attribution.of_extra(live)
        return [(cause, live.net, f"not traded in the replay: {why}")]
    if live is None or replay is None:
        return []
    rate: Callable[[], Decimal] = lambda: (mark(live.instrument, live.side) or (ZERO, ZERO))[1]  # noqa: E731
    return split(live, replay, rate(), attribution, tolerance_ms)


def _difference(pair: Pair, cause: Cause, cash: Decimal, what: str) -> Difference:
    trade = pair.first
    return Difference(
        cause=cause,
        cash=cash,
        instrument=trade.instrument,
        ts_ms=_opened(pair),
        what=what,
        live_id=pair.live.id if pair.live else "",
        replay_id=pair.replay.id if pair.replay else "",
    )


def _opened(pair: Pair) -> int:
    trades: list[DayTrade] = [t for t in (pair.live, pair.replay) if t is not None]
    return min(t.opened_ms for t in trades)


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)
