"""Days made to hurt: the loss ends at a limit, and the report names it.

In each the gates are open and the default limits are in force. Before the breaker trips the loss
may pass its limit by what the positions open then lose at their stops, and by slippage. With
``-s`` each day prints its figures; ``ATTACK_HOURS=24`` plays each for a whole day.
"""

import math
import os
from decimal import Decimal
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from sep_guard.domain.actions import Kind
from sep_kit.store.records import SignalRecord
from sep_paper_broker.orders.conditions import OrderConditions
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.reasons import CancelReason, RejectReason
from sep_replay.engine import Replay
from sep_replay.journal import Event, Topic
from sep_replay.report import print_report

from .markets import MONDAY, Floats, path_tape
from .played import BALANCE, guard_positions, played, replay_of

BARS = 60 * int(os.environ.get("ATTACK_HOURS", "12"))
# What a day has besides the half in which its attack fits.
REST = max(0, BARS - 720)
DAILY_LOSS, LOSS_AT_STOP = Decimal("0.02"), Decimal("0.005")
# An entry may fill up to the widest spread of 3 basis points away.
SLIPPAGE = Decimal("0.002")


def stairs(sides: Floats, size: float, period: int = 14) -> Floats:
    """Steps every other bar, ``period`` bars to a side: coherent, and over when it is followed."""
    signs = np.repeat(sides, period)
    return 1.1 * np.exp(np.cumsum(np.where(np.arange(len(signs)) % 2 == 0, size, 0.0) * signs))


TURNS = BARS // 14
FLIPPING = np.where(np.arange(TURNS) % 2 == 0, 1.0, -1.0)
COIN = np.random.default_rng(3).choice([-1.0, 1.0], TURNS)


def limits_named(replay: Replay) -> set[str]:
    return {str(e.data["limit"]) for e in replay.journal.of(Topic.LIMIT)}


def entries(replay: Replay) -> list[Event]:
    return [e for e in replay.journal.of(Topic.ORDER) if e.data["kind"] is Kind.ENTRY]


def loss(replay: Replay) -> Decimal:
    lowest = min([e.data["nav"] for e in replay.journal.events if "nav" in e.data], default=BALANCE)
    lost = 1 - min(lowest, replay.account.nav) / BALANCE
    limits = ", ".join(sorted(limits_named(replay))) or "none"
    print(f"\nloss {lost:.3%}, {len(entries(replay))} orders to enter; limits that bound: {limits}")
    report = report_of(replay)
    assert all(name in report for name in limits_named(replay))
    return lost


def report_of(replay: Replay) -> str:
    out = StringIO()
    print_report(Console(width=200, file=out), replay.journal, replay.evaluations.values())
    return out.getvalue()


@pytest.mark.parametrize(
    "mids",
    [stairs(FLIPPING, 1e-4), stairs(FLIPPING, 2e-4), stairs(COIN, 2e-4)],
    ids=["flipping", "wide_flipping", "coin_toss"],
)
def test_a_direction_that_is_always_wrong_ends_at_a_limit(mids: Floats) -> None:
    """Each turn pays a spread of almost 3 basis points."""
    replay = played(path_tape(mids, spread=0.0003), {}, open_gates=True)
    assert entries(replay)
    assert loss(replay) <= DAILY_LOSS + LOSS_AT_STOP + SLIPPAGE
    _within_the_order_limits(replay)
    assert limits_named(replay)


@pytest.mark.parametrize("name", ["flips each bar", "coin toss each bar"])
def test_a_signal_that_turns_with_each_bar_ends_at_a_limit(name: str) -> None:
    """A random walk, with signals that know no cooldown and open gates."""
    random = np.random.default_rng(5)
    mids = 1.1 * np.exp(np.cumsum(random.normal(0, 1e-4, BARS + 1)))
    sides = random.choice([-1, 1], BARS + 1) if "coin" in name else np.resize([1, -1], BARS + 1)
    replay = replay_of(path_tape(mids, spread=0.00015), {}, open_gates=True)
    signal = replay.evaluation.signal

    def turning(instrument: str) -> SignalRecord | None:
        record = signal(instrument)
        if record is None:
            return None
        bar = record.ts_ns // 60_000_000_000 - MONDAY // 60
        sound = {"coherence": 0.9, "stability": 0.9, "entropy": 0.5, "rupture": 0.1}
        return record.model_copy(
            update={
                "direction": int(sides[bar]),
                "metrics": record.metrics.model_copy(update=sound),
                "params": None,
            }
        )

    replay.evaluation.signal = turning  # type: ignore[method-assign]
    replay.run()
    assert len(entries(replay)) >= 10
    assert loss(replay) <= DAILY_LOSS + LOSS_AT_STOP + SLIPPAGE
    _within_the_order_limits(replay)
    assert limits_named(replay) & {"order_rate", "daily_loss", "turnover"}


def _within_the_order_limits(replay: Replay) -> None:
    times = [e.time for e in entries(replay) if e.data["filled"] and not _is_step(e)]
    for at in times:
        assert sum(at - 3600 < t <= at for t in times) <= 12
    opened = sum(
        abs(e.data["units"]) * e.data["answer"].price for e in entries(replay) if e.data["filled"]
    )
    assert opened <= 60 * BALANCE * Decimal("1.05")


def _is_step(event: Event) -> bool:
    return "REBALANCE" in [str(r) for r in event.data["reasons"]]


def rising_then(tail: Floats, bars: int = 400) -> Floats:
    """A trend with regular pauses, in which a position is opened, and what follows it."""
    steps = np.where(np.arange(bars) % 2 == 0, 5e-5, 0.0)
    head = 1.1 * np.exp(np.cumsum(steps))
    return np.concatenate([head, head[-1] * tail])


def held_before(replay: Replay, time: int) -> Decimal:
    """Position value after the last order or fill before a time."""
    units, price = Decimal(0), Decimal(0)
    for event in replay.journal.events:
        body = event.data.get("answer") or event.data.get("transaction")
        if event.time < time and isinstance(body, OrderFill):
            units, price = units + body.units, body.price
    return abs(units) * price


def _bar_of_a_position() -> int:
    """A bar in the middle of a position of the undisturbed trend."""
    calm = played(path_tape(rising_then(np.ones(1))), {}, open_gates=True)
    position = next(p for p in guard_positions(calm) if p.exited is not None)
    assert position.exited is not None
    return ((position.signalled + position.exited) // 2 - MONDAY) // 60


def test_in_a_gap_the_loss_is_the_positions_value_times_the_gap_and_nothing_follows() -> None:
    """7 % through the stop between two bars; the trend then goes on below."""
    bars = _bar_of_a_position()
    after = 0.93 * np.exp(np.cumsum(np.where(np.arange(600 + REST) % 2 == 0, 5e-5, 0.0)))
    tape = path_tape(rising_then(after, bars))
    # The step from the last bar of the head to the first of the tail is a gap, not a move.
    column = tape.bars["EUR_USD"]
    for name in ("bid", "ask"):
        for part in ("o", "h"):
            getattr(column, f"{name}_{part}")[bars - 1] = getattr(column, f"{name}_c")[bars - 1]
    gap_at = int(column.time[bars - 1])
    replay = played(tape, {}, open_gates=True)
    value = held_before(replay, gap_at)
    assert value > 0
    fall = BALANCE * (loss(replay))
    assert fall <= value * Decimal("0.072") + BALANCE * SLIPPAGE
    assert not [e for e in entries(replay) if e.time >= gap_at]
    assert {"daily_loss"} <= limits_named(replay)


def tripped_at(replay: Replay) -> int | None:
    return next(
        (e.time for e in replay.journal.of(Topic.LIMIT) if e.data["kind"] == "TRIPPED"), None
    )


def test_crash_and_recovery_trade_no_more_than_the_limit_loses() -> None:
    """Both are in force: the crash meets an open position, and the breaker has not tripped."""
    bars = _bar_of_a_position()
    down = np.exp(np.cumsum(np.full(60, -8e-4)))
    up = down[-1] * np.exp(np.cumsum(np.full(60, 8e-4)))
    rest = up[-1] * np.exp(np.cumsum(np.where(np.arange(400 + REST) % 2 == 0, 5e-5, 0.0)))
    tape = path_tape(rising_then(np.concatenate([down, up, rest]), bars))
    replay = played(tape, {}, open_gates=True)
    begins = int(tape.bars["EUR_USD"].time[bars - 1])
    assert held_before(replay, begins) > 0
    assert (tripped_at(replay) or begins) >= begins
    assert [e for e in entries(replay) if e.time > begins]
    assert loss(replay) <= DAILY_LOSS + LOSS_AT_STOP + SLIPPAGE
    _within_the_order_limits(replay)
    assert "stop_outs" in limits_named(replay)


def test_a_spread_storm_is_waited_out() -> None:
    """Ten basis points of spread for an hour: no entry in it, and the loss is the stop's.

    The first storm meets an open position; one comes every four hours.
    """
    mids = rising_then(np.exp(np.cumsum(np.where(np.arange(400 + REST) % 2 == 0, 5e-5, 0.0))))
    spread = np.full(len(mids) - 1, 0.00008)
    storms = range(_bar_of_a_position(), len(spread) - 60, 240)
    for begins in storms:
        spread[begins : begins + 60] = 0.0011
    tape = path_tape(mids, spread=spread)
    times = tape.bars["EUR_USD"].time
    replay = played(tape, {}, open_gates=True)
    assert held_before(replay, int(times[storms[0]])) > 0
    assert (tripped_at(replay) or times[-1]) > times[storms[0] + 60]
    assert [e for e in entries(replay) if e.time > times[storms[0] + 60]]
    for begins in storms:
        began, ended = times[begins], times[begins + 60]
        assert not [e for e in entries(replay) if began < e.time < ended]
    assert loss(replay) <= DAILY_LOSS + LOSS_AT_STOP + SLIPPAGE


@pytest.mark.parametrize(
    "conditions",
    [
        OrderConditions(cancel_opening=CancelReason.FIFO_VIOLATION),
        OrderConditions(cancel_opening=CancelReason.BOUNDS_VIOLATION),
        OrderConditions(cancel_opening=CancelReason.MARKET_HALTED),
        OrderConditions(reject_opening=RejectReason.STOP_LOSS_ON_FILL_GUARANTEED_REQUIRED),
    ],
    ids=["fifo", "bounds", "halted", "guaranteed_stop_required"],
)
def test_a_broker_that_refuses_everything_is_not_asked_for_ever(
    conditions: OrderConditions,
) -> None:
    """Three in a row lock the instrument for an hour, then two, then four."""
    replay = played(
        path_tape(rising_then(np.ones(1), 900 + REST)), {}, open_gates=True, conditions=conditions
    )
    sent = entries(replay)
    # 1 + 2 + 4 + ... hours of locks fit into the day.
    locked = math.ceil(math.log2((900 + REST) / 60 + 1))
    assert 3 <= len(sent) <= 3 * locked
    assert not [e for e in sent if e.data["filled"]]
    assert loss(replay) == 0
    assert "rejects" in limits_named(replay)
