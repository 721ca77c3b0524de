"""What the guard trades is what the backtest traded on the same candles."""

from collections import Counter

import pytest
from sep_fx.granularity import Granularity
from sep_replay.engine import Replay

from .markets import EIGHT, MONDAY, market_tape
from .played import WIDE, Position, backtest_positions, guard_positions, played

HOURS = 10

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


def _entry(position: Position) -> tuple[str, int, int]:
    return position.instrument, position.signalled, position.side


def test_no_exit_is_of_a_kind_that_the_backtest_lacks(all_slots: Replay) -> None:
    kinds = Counter(p.exit for p in guard_positions(all_slots) if p.exited is not None)
    assert kinds.keys() <= {"stop_loss", "take_profit", "session", "reversal", "rupture"}
