"""What a difference is put down to, from the decisions of both sides at the time."""

from collections.abc import Sequence
from typing import Protocol

from sep_replay.parity.causes import Cause, cause_of_exit, cause_of_refusal
from sep_replay.parity.days import OPEN, DayDecision, DayTrade, SignalSeen, TradingDay

_CLOSE_STEP, _FIGURE_STEP = 1e-9, 1e-6
_AROUND_MS = 1_800_000


class Sides(Protocol):
    """A trade of live and one of the replay, of which one may be missing."""

    @property
    def live(self) -> DayTrade | None:
        """Live's."""
        ...

    @property
    def replay(self) -> DayTrade | None:
        """The replay's."""
        ...


class Attribution:
    """Finds causes. What follows from an earlier difference of an instrument has its cause."""

    def __init__(self, live: TradingDay, replay: TradingDay, tolerance_ms: int) -> None:
        self._live, self._replay = live, replay
        self._tolerance_ms = tolerance_ms
        self._noted: list[tuple[DayTrade, bool, Cause]] = []

    def note(self, sides: Sides, cause: Cause, cash: object) -> None:
        """Remember a difference, for those that follow from it."""
        alone = sides.live is None or sides.replay is None
        ends = {t.exit for t in (sides.live, sides.replay) if t is not None}
        if not alone and len(ends) == 1 and cause is Cause.PRICE:
            return  # both were out at the same time: nothing follows
        for trade, is_live in ((sides.live, True), (sides.replay, False)):
            if trade is not None:
                self._noted.append((trade, is_live, cause))

    def of_missing(self, replay: DayTrade) -> tuple[Cause, str]:
        """Why live did not trade what the replay traded."""
        held = self._follows(replay, is_live=True)
        if held is not None:
            return held
        decision = self._decision(self._live.decisions, replay)
        if decision is None:
            if replay.instrument in self._live.carried:
                return Cause.TIMING, "a position of the day before was open"
            return Cause.TIMING, "no decision was made then"
        # A refusal that is repeated has the signal of its first time: look at those around too.
        near = [
            d.signal
            for d in self._live.decisions
            if d.instrument == replay.instrument
            and d.signal is not None
            and abs(d.signal.ended_ms - replay.signal_ms) <= _AROUND_MS
        ]
        for signal in (decision.signal, *near):
            if seen := self._signal_cause(replay.instrument, signal):
                return seen
        late = decision.ts_ms + self._tolerance_ms >= self._live.end_ms
        if decision.kind == "ENTRY" and decision.filled and late:
            return Cause.TIMING, "it was entered on the other side of the day's end"
        return _cause_of(decision)

    def of_extra(self, live: DayTrade) -> tuple[Cause, str]:
        """Why live traded what the replay did not trade."""
        if not live.signal_ms:
            return Cause.OPERATOR, "no decision of this stack opened it"
        held = self._follows(live, is_live=False)
        entry = next(
            (
                d
                for d in self._live.decisions
                if d.kind == "ENTRY"
                and d.instrument == live.instrument
                and d.signal is not None
                and d.signal.ended_ms == live.signal_ms
            ),
            None,
        )
        if entry and (seen := self._signal_cause(live.instrument, entry.signal)):
            return seen
        if held is not None:
            return held
        decision = self._decision(self._replay.decisions, live)
        if decision is None or decision.kind != "REFUSAL":
            # Without any weight the guard of a replay has nothing to decide.
            return Cause.GATE, "the replay had no weight"
        return _cause_of(decision)

    def of_entry(self, live: DayTrade, replay: DayTrade, tolerance_ms: int) -> Cause:
        """Why two entries had different prices."""
        if live.signal_ms != replay.signal_ms:
            return Cause.TIMING
        seen = self._signal_cause(live.instrument, self._entry_signal(live))
        if seen is not None:
            return seen[0]
        late = abs(live.opened_ms - replay.opened_ms) > tolerance_ms
        return Cause.TIMING if late else Cause.PRICE

    def of_exit(self, live: DayTrade, replay: DayTrade, tolerance_ms: int) -> Cause:
        """Why two exits had different prices."""
        apart = abs(live.closed_ms - replay.closed_ms)
        if live.exit == replay.exit:
            by_price = cause_of_exit(live.exit) is Cause.PRICE
            return Cause.PRICE if by_price or apart <= tolerance_ms else Cause.TIMING
        own = cause_of_exit(live.exit) if live.exit != OPEN else None
        if own in (Cause.OPERATOR, Cause.BROKER, Cause.LIMIT):
            return own
        first = live if live.closed_ms <= replay.closed_ms else replay
        if first is replay:
            # Live stayed in: what refused its exit, if anything did.
            refusal = self._refusal(self._live.decisions, replay)
            if refusal is not None:
                return cause_of_refusal(refusal.reasons)
        if first.exit == OPEN:
            return cause_of_exit(replay.exit if first is live else live.exit)
        return cause_of_exit(first.exit)

    def _follows(self, trade: DayTrade, *, is_live: bool) -> tuple[Cause, str] | None:
        """The cause of the other side's trade that was in the way."""
        for noted, of_live, cause in reversed(self._noted):
            if of_live is is_live and noted.instrument == trade.instrument:
                if noted.open_at(trade.opened_ms):
                    return cause, f"trade {noted.id} was open, which differs itself"
                break
        return None

    def _entry_signal(self, live: DayTrade) -> SignalSeen | None:
        return next(
            (
                d.signal
                for d in self._live.decisions
                if d.instrument == live.instrument
                and d.kind == "ENTRY"
                and d.signal is not None
                and d.signal.ended_ms == live.signal_ms
            ),
            None,
        )

    def _signal_cause(self, instrument: str, seen: SignalSeen | None) -> tuple[Cause, str] | None:
        """Whether live saw another candle, or made another signal of the same one."""
        if seen is None:
            return None
        stored = self._replay.signals.get((instrument, seen.ended_ms))
        if stored is None:
            in_day = seen.ended_ms > self._replay.start_ms
            return (Cause.DATA, "its candle is not stored") if in_day else None
        # Figures are a function of the candles alone, the direction of parameters as well.
        differs = any(
            abs(a - b) > _FIGURE_STEP for a, b in zip(stored.figures, seen.figures, strict=True)
        )
        if differs or abs(stored.close - seen.close) > _CLOSE_STEP:
            return Cause.DATA, "its candles are not those that are stored"
        if stored.direction != seen.direction:
            return Cause.SIGNAL, "its signal of the same candles is another"
        return None

    def _decision(self, decisions: Sequence[DayDecision], trade: DayTrade) -> DayDecision | None:
        """The last decision that the other side could have entered by."""
        start, end = trade.opened_ms, trade.opened_ms + self._tolerance_ms
        found = [
            d
            for d in decisions
            if d.instrument == trade.instrument and d.ts_ms <= end and d.last_ts_ms >= start
        ]
        refused = (d for d in found if d.kind == "ENTRY" and not d.filled)
        return next(refused, max(found, key=lambda d: d.ts_ms, default=None))

    def _refusal(self, decisions: Sequence[DayDecision], trade: DayTrade) -> DayDecision | None:
        start, end = trade.closed_ms, trade.closed_ms + self._tolerance_ms
        found = [
            d
            for d in decisions
            if d.instrument == trade.instrument
            and d.kind == "REFUSAL"
            and d.ts_ms <= end
            and d.last_ts_ms >= start
        ]
        return max(found, key=lambda d: d.ts_ms, default=None)


def _cause_of(decision: DayDecision) -> tuple[Cause, str]:
    reasons = ", ".join(decision.reasons)
    if decision.kind == "REFUSAL":
        return cause_of_refusal(decision.reasons), f"refused for {reasons}"
    if decision.kind == "ENTRY":
        if decision.filled:
            return Cause.UNEXPLAINED, f"decision {decision.id} entered"
        return Cause.BROKER, "its order was not filled"
    return Cause.TIMING, f"it was closing for {reasons}"
