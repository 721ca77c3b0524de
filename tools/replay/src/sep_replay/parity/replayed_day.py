"""The replay of a day: the services warm up on the days before, then trade from its begin on."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sep_evaluator.domain.signals import newest_signals
from sep_fx.bars import Bars
from sep_fx.instants import NS_PER_MS
from sep_guard.domain.orders import Intent
from sep_kit.store.signals import signal_end_ns
from sep_paper_broker.market.instruments import EVERY_LISTING
from sep_paper_broker.orders.fill_records import OrderFill

from sep_replay.engine import Replay, ReplaySettings
from sep_replay.journal import Event, Topic
from sep_replay.parity.days import OPEN, ZERO, DayDecision, DayTrade, SignalSeen, TradingDay
from sep_replay.tape import Tape

_DAY_S = 86_400


class DayReplay(Replay):
    """Evaluates and allocates from the begin of its tape, and trades from ``start_s`` on.

    Args:
        tape: candles up to the end of the day; those older than ``warm_up_days`` before its begin
            are only history of the backtests.
        carried: units held at the begin, by instrument.
    """

    def __init__(
        self,
        tape: Tape,
        settings: ReplaySettings,
        start_s: int,
        end_s: int,
        *,
        warm_up_days: int,
        carried: Mapping[str, Decimal],
    ) -> None:
        since = start_s - warm_up_days * _DAY_S
        recent = {i: bars.between(since, end_s) for i, bars in tape.bars.items()}
        super().__init__(Tape(tape.granularity, recent), settings)
        for instrument, bars in tape.bars.items():
            history: Bars = bars.between(-(2**62), since)
            if len(history):
                self.evaluation.extend(instrument, history)
        self._recent = recent
        self._start_s, self._end_s = start_s, end_s
        self._carried = dict(carried)

    def act(self, now: int) -> None:
        """Judge, and trade once the day has begun."""
        if now < self._start_s:
            self.judge(now)
            return
        for instrument in [i for i in self._carried if self.account.quote(i, now) is not None]:
            self.account.place(_opening(instrument, self._carried.pop(instrument), now), now)
        super().act(now)

    def mark(self, instrument: str, side: int) -> tuple[Decimal, Decimal] | None:
        """Closing price of a side and conversion rate at the end of the day."""
        quote = self.account.quote(instrument, self._end_s)
        rate = self.account.home_per_unit(EVERY_LISTING[instrument].instrument.quote)
        if quote is None or rate is None:
            return None
        return (quote.bid if side > 0 else quote.ask), rate

    def day(self) -> TradingDay:
        """The day as it was replayed."""
        return TradingDay(
            start_ms=self._start_s * 1000,
            end_ms=self._end_s * 1000,
            trades=list(self._trades()),
            decisions=list(self._decisions()),
            signals=dict(self._signals()),
        )

    def _signals(self) -> Iterator[tuple[tuple[str, int], SignalSeen]]:
        for instrument, bars in self._recent.items():
            run = self.evaluation.run(instrument)
            for signal in newest_signals(run, len(bars.between(self._start_s - _DAY_S))):
                ended = signal_end_ns(signal.ts_ns, self.evaluation.granularity) // NS_PER_MS
                figures = signal.figures
                yield (
                    (instrument, ended),
                    SignalSeen(
                        ended_ms=ended,
                        direction=signal.direction,
                        close=signal.price,
                        figures=(
                            figures.coherence,
                            figures.stability,
                            figures.entropy,
                            figures.rupture,
                        ),
                    ),
                )

    def _decisions(self) -> Iterator[DayDecision]:
        """Each holds until the next one of its instrument."""
        events = self.journal.of(Topic.DECISION)
        until = self._end_s
        following: dict[str, int] = {}
        found = []
        for event in reversed(events):
            last = following.get(event.subject, until)
            following[event.subject] = event.time
            found.append(_decision(event, last))
        yield from reversed(found)

    def _trades(self) -> Iterator[DayTrade]:
        entries = {e.data["id"]: e for e in self.journal.of(Topic.DECISION)}
        cuts = {
            (e.time, e.subject) for e in self.journal.of(Topic.LIMIT) if e.data["kind"] == "CUT"
        }
        opened: dict[str, dict[str, Any]] = {}
        for event in self.journal.events:
            fill = _fill_of(event)
            if fill is None:
                continue
            if fill.trade_opened is not None:
                decision = entries.get(event.data.get("id"))
                signal = None if decision is None else decision.data["market"].signal
                opened[fill.trade_opened.trade_id] = {
                    "id": fill.trade_opened.trade_id,
                    "instrument": fill.instrument,
                    "units": fill.trade_opened.units,
                    "signal_ms": 0 if signal is None else signal.ended_ms,
                    "opened_ms": event.time * 1000,
                    "open_price": fill.trade_opened.price,
                    "net": -fill.commission - fill.trade_opened.guaranteed_execution_fee,
                    "cut": (event.time, event.subject) in cuts,
                    "left": fill.trade_opened.units,
                }
            for part in (*(fill.trades_closed or ()), fill.trade_reduced):
                if part is not None and part.trade_id in opened:
                    trade = opened[part.trade_id]
                    trade["left"] += part.units
                    trade["net"] += part.realized_pl + part.financing
                    trade |= {
                        "closed_ms": event.time * 1000,
                        "close_price": part.price,
                        "exit": _exit_of(event, fill),
                    }
        for trade in opened.values():
            left = trade.pop("left")
            if trade["opened_ms"] >= self._end_s * 1000:
                continue
            yield DayTrade(**(trade | self._open_part(trade, left) if left else trade))

    def _open_part(self, trade: Mapping[str, Any], left: Decimal) -> dict[str, Any]:
        found = self.mark(trade["instrument"], 1 if left > 0 else -1)
        price, rate = (trade["open_price"], ZERO) if found is None else found
        return {
            "closed_ms": self._end_s * 1000,
            "close_price": price,
            "exit": OPEN,
            "net": trade["net"] + left * (price - trade["open_price"]) * rate,
        }


def _decision(event: Event, last_s: int) -> DayDecision:
    signal = event.data["market"].signal
    seen = None
    if signal is not None and signal.close is not None:
        seen = SignalSeen(
            ended_ms=signal.ended_ms,
            direction=signal.direction,
            close=float(signal.close),
            figures=(signal.coherence, signal.stability, signal.entropy, signal.rupture),
        )
    return DayDecision(
        id=str(event.data["id"]),
        instrument=event.subject,
        kind=str(event.data["kind"]),
        reasons=tuple(str(r) for r in event.data["reasons"]),
        ts_ms=event.time * 1000,
        last_ts_ms=last_s * 1000,
        signal=seen,
    )


def _fill_of(event: Event) -> OrderFill | None:
    body = event.data.get("answer") if event.topic is Topic.ORDER else None
    if event.topic is Topic.FILL:
        body = event.data["transaction"]
    return body if isinstance(body, OrderFill) else None


def _exit_of(event: Event, fill: OrderFill) -> str:
    reasons = event.data.get("reasons")
    return str(reasons[0]) if reasons else str(fill.reason)


def _opening(instrument: str, units: Decimal, now: int) -> Intent:
    """An order that opens what was carried into the day."""
    return Intent(
        client_order_id=f"carried:{instrument}",
        decision_id="",
        instrument=instrument,
        units=units,
        reduce_only=False,
        stop_loss=None,
        take_profit=None,
        price_bound=None,
        since_transaction_id="",
        sent_ms=now * 1000,
    )
