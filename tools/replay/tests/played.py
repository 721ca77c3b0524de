"""Replays of a tape, and the positions that the guard and the backtest took in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sep_allocator.settings import AllocatorSettings
from sep_evaluator.domain.backtest_state import REASONS
from sep_evaluator.settings import EvaluatorSettings
from sep_guard.domain.actions import Kind
from sep_guard.settings import GuardSettings
from sep_kit.settings.loading import load_settings
from sep_paper_broker.orders.fill_records import OrderFill
from sep_replay.engine import Replay, ReplaySettings
from sep_replay.journal import Topic
from sep_replay.tape import Tape

BALANCE = Decimal(100_000)
WIDE = {
    "RISK_MAX_DAILY_LOSS_PCT": "99",
    "RISK_MAX_DRAWDOWN_PCT": "99",
    "RISK_MAX_TURNOVER_X": "100000",
    "RISK_MAX_ENTRIES_PER_HOUR": "1000000",
    "RISK_MAX_STOPS_PER_DAY": "1000000",
    "RISK_MAX_LOSS_PER_TRADE_PCT": "99",
    "RISK_MAX_LEVERAGE": "100000",
    "RISK_MAX_CURRENCY_LEVERAGE": "100000",
}


def replay_of(tape: Tape, knobs: Mapping[str, str], **options: Any) -> Replay:
    """A replay of a tape, in a market that is always open unless a knob says otherwise."""
    environ = {
        "CANDLE_GRANULARITY": tape.granularity.value,
        "MARKET_CALENDAR": "24x7",
        **knobs,
    }
    settings = ReplaySettings(
        load_settings(EvaluatorSettings, environ),
        load_settings(AllocatorSettings, environ),
        load_settings(GuardSettings, environ),
        BALANCE,
        **options,
    )
    return Replay(tape, settings)


def played(tape: Tape, knobs: Mapping[str, str], **options: Any) -> Replay:
    """A replay that was played to its end."""
    replay = replay_of(tape, knobs, **options)
    replay.run()
    return replay


@dataclass(frozen=True)
class Position:
    """One position from flat to flat: when its signal's bar ended, and why it was closed.

    ``exit`` is the backtest's name of it, or the guard's reason where the backtest knows no such
    exit; empty while it is open.
    """

    instrument: str
    signalled: int
    side: int
    exited: int | None
    exit: str


_EXITS = {
    "STOP_LOSS_ORDER": "stop_loss",
    "TAKE_PROFIT_ORDER": "take_profit",
    "EXIT_BEFORE_CLOSE": "session",
    "REVERSAL": "reversal",
    "RUPTURE": "rupture",
}


def guard_positions(replay: Replay) -> list[Position]:
    """What the guard did, by the fills of its account."""
    units: dict[str, Decimal] = {}
    open_: dict[str, tuple[int, int]] = {}
    found = []
    signals = {
        e.data["id"]: e.data["market"].signal.ended_ms // 1000
        for e in replay.journal.of(Topic.DECISION)
        if e.data["kind"] is Kind.ENTRY
    }
    for event in replay.journal.events:
        if event.topic is Topic.ORDER and event.data["filled"]:
            fill, reason = event.data["answer"], str(event.data["reasons"][0])
        elif event.topic is Topic.FILL and isinstance(event.data["transaction"], OrderFill):
            fill = event.data["transaction"]
            reason = str(fill.reason)
        else:
            continue
        name = event.subject
        before = units.get(name, Decimal(0))
        after = units[name] = before + fill.units
        if not before:
            open_[name] = signals[event.data["id"]], 1 if after > 0 else -1
        elif not after:
            signalled, side = open_.pop(name)
            found.append(Position(name, signalled, side, event.time, _EXITS.get(reason, reason)))
    found += [Position(i, at, side, None, "") for i, (at, side) in open_.items()]
    return sorted(found, key=lambda p: (p.signalled, p.instrument))


def backtest_positions(replay: Replay) -> list[Position]:
    """What the backtest of the same bars did, closed trades alone."""
    found = []
    for name in replay.evaluation.instruments:
        run = replay.evaluation.run(name)
        for trade in run.trades:
            signalled = int(run.times[int(trade["entry_index"]) - 1]) + run.granularity_s
            found.append(
                Position(
                    name, signalled, int(trade["side"]), int(trade["exit_time"]),
                    REASONS[int(trade["reason"])],
                )
            )  # fmt: skip
    return sorted(found, key=lambda p: (p.signalled, p.instrument))
