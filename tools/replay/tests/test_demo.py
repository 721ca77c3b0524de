"""The demo trades, and goes on trading: its limits fit its bars of five seconds.

Played with the settings of ``deploy/demo.env``, on gates as they are judged. ``DEMO_HOURS`` plays
more than half an hour, ``DEMO_SEED`` other markets.
"""

import os
from collections import Counter
from pathlib import Path

import pytest
from sep_fx.granularity import Granularity
from sep_local.env_file import read_env_file
from sep_replay.engine import Replay
from sep_replay.journal import Topic

from .markets import EIGHT, MONDAY, market_tape
from .played import guard_positions, replay_of

DEMO = Path(__file__).parents[3] / "deploy" / "demo.env"
# The running demo fetches a day of candles before it judges anything.
HISTORY_S = 7200
HOURS = float(os.environ.get("DEMO_HOURS", "0.5"))
SEEDS = tuple(int(seed) for seed in os.environ.get("DEMO_SEED", "1").split(","))


def demo(seed: int) -> Replay:
    """As many pairs as the demo selects, which act once their history has been taken in."""
    tape = market_tape(EIGHT[:3], Granularity.S5, HISTORY_S / 3600 + HOURS, seed)
    replay = replay_of(tape, read_env_file(DEMO))
    for moment in tape.moments():
        replay.take_in(moment)
        if moment.time >= MONDAY + HISTORY_S:
            replay.act(moment.time)
    return replay


@pytest.mark.parametrize("seed", SEEDS)
def test_the_demo_trades_and_no_limit_stops_it(seed: int) -> None:
    replay = demo(seed)
    positions = guard_positions(replay)
    stops = Counter(
        str(e.data["limit"])
        for e in replay.journal.of(Topic.LIMIT)
        if e.data["kind"] in ("TRIPPED", "LOCKED")
    )
    hours = [(p.signalled - MONDAY - HISTORY_S) / 3600 for p in positions]
    print(f"\n{len(positions)} positions, the first after {60 * min(hours, default=-1):.0f} min,")
    print(f"the last in hour {max(hours, default=-1):.1f}; NAV {replay.account.nav:.0f}, {stops}")
    assert positions
    assert not stops
    assert max(hours) >= 0.5 * HOURS
