"""What the guard trades is what the backtest traded on the same candles."""

from collections import Counter
from itertools import pairwise

import pytest
from sep_fx.granularity import Granularity
from sep_replay.engine import Replay
from sep_replay.tape import load_tape

from .markets import EIGHT, MONDAY, eight_of, market_tape
from .played import WIDE, Position, backtest_positions, guard_positions, played
from .test_replay import REAL

HOURS = 10
REAL_BARS = 2_500
BACKTEST_EXITS = {"stop_loss", "take_profit", "session", "reversal", "rupture"}

SEEDS = (7, 8)


@pytest.fixture(scope="module", params=SEEDS)
def all_slots(request: pytest.FixtureRequest) -> Replay:
    tape = market_tape(EIGHT, Granularity.M1, HOURS, request.param)
    return played(tape, {**WIDE, "ALLOC_TOP_K": "8"}, open_gates=True)


def test_with_open_gates_and_a_slot_for_each_pair_the_entries_are_the_backtests(
    all_slots: Replay,
) -> None:
    """One by one: the same signal, the same side.

    What the guard closes in the tape's last moment the backtest would close at the next open.
    """
    ends = MONDAY + HOURS * 3600
    expected = backtest_positions(all_slots)
    done = [p for p in guard_positions(all_slots) if p.exited is not None and p.exited < ends]
    assert len(expected) >= 100
    assert [_entry(p) for p in done] == [_entry(p) for p in expected]


@pytest.fixture(scope="module", params=["generated", "real candles"])
def three_slots(request: pytest.FixtureRequest) -> list[Replay]:
    """Replays with the default selection of three; turnover alone is not limited."""
    knobs = {"RISK_MAX_TURNOVER_X": "100000"}
    if request.param == "generated":
        tapes = [market_tape(EIGHT, Granularity.M1, HOURS, seed) for seed in SEEDS]
        return [played(tape, knobs, open_gates=True) for tape in tapes]
    if not REAL.is_dir():
        pytest.skip("PARITY WITH REAL CANDLES NOT CHECKED: they are not on this machine")
    tape = eight_of(load_tape(REAL), REAL_BARS)
    return [played(tape, {**knobs, "MARKET_CALENDAR": "fx"}, open_gates=True)]


def test_nine_of_ten_exits_are_of_a_kind_that_the_backtest_has(three_slots: list[Replay]) -> None:
    """The others are changes of the selection."""
    exits = [p.exit for r in three_slots for p in guard_positions(r) if p.exited is not None]
    assert len(exits) >= 20
    assert exits.count("WEIGHT_GONE") <= len(exits) / 10, Counter(exits)
    assert set(exits) <= {*BACKTEST_EXITS, "WEIGHT_GONE"}


def test_a_change_of_the_selection_closes_a_position_at_most_once_an_hour(
    three_slots: list[Replay],
) -> None:
    for replay in three_slots:
        closed = sorted(
            p.exited
            for p in guard_positions(replay)
            if p.exited is not None and p.exit == "WEIGHT_GONE"
        )
        # The allocator's blob and the guard's cycle may each be late by one interval.
        assert all(then - at >= 3600 - 90 for at, then in pairwise(closed))


def _entry(position: Position) -> tuple[str, int, int]:
    return position.instrument, position.signalled, position.side


def test_no_exit_is_of_a_kind_that_the_backtest_lacks(all_slots: Replay) -> None:
    kinds = Counter(p.exit for p in guard_positions(all_slots) if p.exited is not None)
    assert kinds.keys() <= BACKTEST_EXITS
