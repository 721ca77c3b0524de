"""Between two bars nothing is stale, however long a bar is; after a missing one it is."""

import numpy as np
import pytest
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_replay.engine import Replay
from sep_replay.journal import Topic
from sep_replay.tape import Tape

from .markets import path_tape
from .played import played

MIDS = 1.1 * np.exp(np.cumsum(np.where(np.arange(90) % 2 == 0, 5e-5, 0.0)))


def stale_at(replay: Replay) -> list[int]:
    return [e.time for e in replay.journal.of(Topic.GATE) if "CANDLES_STALE" in e.data["reasons"]]


@pytest.mark.parametrize(
    ("granularity", "knobs"),
    [
        (Granularity.M10, {}),
        (Granularity.S10, {"FRESH_MAX_SIGNAL_AGE_SEC": "5", "EVAL_INTERVAL_SEC": "5"}),
    ],
)
def test_gates_do_not_go_stale_between_bars(
    granularity: Granularity, knobs: dict[str, str]
) -> None:
    assert not stale_at(played(path_tape(MIDS, granularity), knobs))


def test_a_missing_bar_is_stale_a_minute_after_the_next_one_was_due() -> None:
    whole = path_tape(MIDS, Granularity.M10).bars["EUR_USD"]
    parts = [whole.slice(0, 60), whole.slice(62, len(whole))]
    replay = played(Tape(Granularity.M10, {"EUR_USD": Bars.concatenate(parts)}), {})
    last_end = int(whole.time[59]) + 600
    (first, *_) = stale_at(replay)
    assert last_end + 660 < first <= last_end + 660 + 60
