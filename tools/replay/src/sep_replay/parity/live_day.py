"""The live side of a day, from the journal's answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sep_replay.parity.days import (
    OPEN,
    ZERO,
    DayDecision,
    DayTrade,
    Mark,
    SignalSeen,
    TradingDay,
)

_FIGURES = ("coherence", "stability", "entropy", "rupture")
_FILLED = "FILLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRecords:
    """What the journal has of a day.

    Args:
        balance: of the account at the day's begin, home currency.
        trades: as in ``GET /api/journal/trades``, those of the day and those open before it.
        decisions: as in ``GET /api/decisions``, each with its ``record``, a JSON object.
    """

    start_ms: int
    end_ms: int
    balance: Decimal
    trades: list[dict[str, Any]]
    decisions: list[dict[str, Any]]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "LiveRecords":
        """From a JSON document.

        Raises:
            ValueError: it is no such document.
        """
        try:
            return cls(
                start_ms=int(document["start_ms"]),
                end_ms=int(document["end_ms"]),
                balance=Decimal(document["balance"]),
                trades=list(document["trades"]),
                decisions=list(document["decisions"]),
            )
        except (KeyError, TypeError, ArithmeticError) as error:
            raise ValueError(f"the live side of the day can't be read: {error!r}") from None

    def carried(self) -> dict[str, Decimal]:
        """Units that own trades held at the begin of the day, by instrument."""
        found: dict[str, Decimal] = {}
        for trade in self.trades:
            closed = trade.get("close_time")
            before = int(trade["open_time"]) < self.start_ms
            if before and trade["own"] and (closed is None or closed >= self.start_ms):
                name = str(trade["instrument"])
                found[name] = found.get(name, ZERO) + Decimal(trade["units"])
        return found

    def day(self, mark: Mark) -> TradingDay:
        """The day; what is open at its end counts at the last close."""
        decisions = list(_decisions(self.decisions))
        by_id = {d.id: d for d in decisions}
        cut = {
            str(d["id"])
            for d in self.decisions
            if ((d.get("record") or {}).get("action") or {}).get("bounds")
        }
        trades = [
            _trade(trade, by_id, cut, self.end_ms, mark)
            for trade in self.trades
            if self.start_ms <= int(trade["open_time"]) < self.end_ms
        ]
        return TradingDay(
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            trades=sorted(trades, key=lambda t: (t.opened_ms, t.instrument)),
            decisions=sorted(decisions, key=lambda d: d.ts_ms),
            carried=self.carried(),
        )


def _trade(
    trade: Mapping[str, Any],
    decisions: Mapping[str, DayDecision],
    cut: set[str],
    end_ms: int,
    mark: Mark,
) -> DayTrade:
    units = Decimal(trade["units"])
    own = [decisions[d] for d in trade["decision_ids"] if d in decisions]
    entry = next((d for d in own if d.kind == "ENTRY"), None)
    closing = next((d for d in reversed(own) if d.kind != "ENTRY" and d.reasons), None)
    closed = trade.get("close_time")
    done = closed is not None and closed <= end_ms
    close_price, net = Decimal(trade["close_price"] or 0), Decimal(trade["net_pl"])
    if not done:
        close_price, net = _marked(trade, units, closed is not None, mark)
    return DayTrade(
        id=str(trade["id"]),
        instrument=str(trade["instrument"]),
        units=units,
        signal_ms=entry.signal.ended_ms if entry is not None and entry.signal else 0,
        opened_ms=int(trade["open_time"]),
        closed_ms=int(closed) if closed is not None and done else end_ms,
        open_price=Decimal(trade["open_price"] or 0),
        close_price=close_price,
        net=net,
        exit=OPEN if not done else closing.reasons[0] if closing else str(trade["exit"]),
        cut=entry is not None and entry.id in cut,
    )


def _marked(
    trade: Mapping[str, Any], units: Decimal, closed_later: bool, mark: Mark
) -> tuple[Decimal, Decimal]:
    """Price and result of a trade that was open at the end of the day."""
    found = mark(str(trade["instrument"]), 1 if units > 0 else -1)
    opened = Decimal(trade["open_price"] or 0)
    if found is None:
        return opened, ZERO
    price, rate = found
    # What was closed after the day was whole at its end.
    left = units if closed_later else Decimal(trade["open_units"])
    realised = ZERO if closed_later else Decimal(trade["net_pl"])
    return price, realised + left * (price - opened) * rate


def _decisions(documents: Iterable[Mapping[str, Any]]) -> Iterable[DayDecision]:
    outcomes: dict[str, bool] = {}
    for document in documents:
        if document["event"] == "order":
            filled = (document.get("record") or {}).get("outcome") == _FILLED
            outcomes[document["id"]] = filled or outcomes.get(document["id"], False)
    for document in documents:
        if document["event"] not in ("decision", "drain", "flatten"):
            continue
        decision_id = str(document["id"])
        yield DayDecision(
            id=decision_id,
            instrument=str(document["instrument"]),
            kind=str(document["kind"]),
            reasons=tuple(document["reasons"]),
            ts_ms=int(document["ts_ms"]),
            last_ts_ms=int(document["last_ts_ms"]),
            signal=_signal(document.get("record") or {}),
            filled=outcomes.get(decision_id, True),
        )


def _signal(record: Mapping[str, Any]) -> SignalSeen | None:
    signal = (record.get("market") or {}).get("signal")
    if not signal or signal.get("close") is None:
        return None
    return SignalSeen(
        ended_ms=int(signal["ended_ms"]),
        direction=int(signal["direction"]),
        close=float(signal["close"]),
        figures=tuple(float(signal[name]) for name in _FIGURES),
    )
