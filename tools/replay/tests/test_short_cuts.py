"""What a replay leaves out or reads directly changes nothing that it decides."""

import json
from typing import Any

import pytest
from sep_allocator.adapters.records import gates_of, window_of
from sep_evaluator.adapters.gates_blob import blob_of
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.evaluation import EvaluatedRun
from sep_fx.granularity import Granularity
from sep_guard.domain.market import Market, Weights
from sep_replay.engine import Replay
from sep_replay.tape import Tape

from .markets import market_tape
from .played import WIDE, replay_of

PAIRS = ("EUR_USD", "USD_JPY", "GBP_USD", "EUR_JPY")
KNOBS = {"ALLOC_TOP_K": "2", **WIDE}


@pytest.fixture(scope="module")
def tape() -> Tape:
    return market_tape(PAIRS, Granularity.M1, 2.5, seed=3)


def log_of(replay: Replay) -> str:
    return "\n".join(json.dumps(event.as_json()) for event in replay.journal.events)


def test_every_market_and_runs_that_grow_bar_by_bar_give_the_same_log(tape: Tape) -> None:
    replay, plain = (replay_of(tape, KNOBS, open_gates=True) for _ in range(2))
    trading: Any = plain.trading
    evaluation: Any = plain.evaluation
    evaluation._runs = {
        name: StrictSpanRun(
            run.params, run.granularity_s, name, evaluation._hours[name],
            evaluation._settings.session_exit_minutes,
            long_run_days=evaluation._settings.eval_long_run_days,
        )
        for name, run in evaluation._runs.items()
    }  # fmt: skip

    def every_market(_weights: Weights | None, now: int) -> dict[str, Market]:
        return {name: trading._market(name, now) for name in PAIRS}

    trading._markets = every_market
    replay.run()
    plain.run()
    orders = [e for e in replay.journal.events if e.topic.value == "order"]
    assert len({e.subject for e in orders}) > 1
    assert log_of(replay) == log_of(plain)


@pytest.mark.parametrize("open_gates", [False, True])
def test_the_allocator_reads_what_the_stored_records_hold(tape: Tape, open_gates: bool) -> None:
    replay = replay_of(tape, KNOBS, open_gates=open_gates)
    replay.run()
    evaluation, now = replay.evaluation, 1_800_000_000
    evaluated = [
        EvaluatedRun(evaluation=e, params=evaluation.run(i).params, spans={})
        for i, e in evaluation.evaluations.items()
    ]
    stored, read = gates_of(blob_of(evaluated, now * 1000)), evaluation.gates(now)
    assert (read.ts, read.gates.keys()) == (stored.ts, stored.gates.keys())
    if open_gates:
        assert set(read.gates.values()) == {True}
        assert set(read.cooldowns.values()) == {False}
        assert not any(read.reasons.values())
    else:
        assert (read.gates, read.cooldowns) == (stored.gates, stored.cooldowns)
        assert [*map(list, read.reasons.values())] == [*stored.reasons.values()]
    for pair in PAIRS:
        signal = evaluation.signal(pair)
        assert signal is not None
        assert evaluation.window(pair) == window_of(signal)


def test_there_is_no_window_before_the_first(tape: Tape) -> None:
    replay = replay_of(tape, KNOBS)
    assert replay.evaluation.window("EUR_USD") is None
    replay.evaluation.extend("EUR_USD", tape.bars["EUR_USD"].slice(0, 69))
    assert replay.evaluation.window("EUR_USD") is None
    assert replay.evaluation.signal("EUR_USD") is None
    replay.evaluation.extend("EUR_USD", tape.bars["EUR_USD"].slice(69, 70))
    assert replay.evaluation.window("EUR_USD") is not None
