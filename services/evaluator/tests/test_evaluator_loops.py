"""The loops step by step, over a real Valkey and a fake clock."""

import json
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sep_evaluator.adapters.gate_memory import StoredGateMemory
from sep_evaluator.domain.floors import (
    HISTORY_MS,
    HOUR_MS,
    BaseFloors,
    Sample,
    adaptive_floors,
    quartiles_of,
)
from sep_evaluator.domain.gates import COOLDOWN_MS, GateState, Verdict, step, under
from sep_evaluator.domain.params import StrategyParams, digest_of
from sep_fx.bars import Bars
from sep_kit.clock import now_ms
from sep_kit.errors import NotTheWriterError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_testing.clock import FakeClock
from structlog.testing import capture_logs

from .candles import random_walk
from .harness import (
    COUNTERS,
    M1,
    PERMISSIVE_PARAMS,
    Replica,
    make_replica,
    settings_of,
    store_bars,
    stored_blob,
    stored_memory,
)

PAIR = "EUR_USD"
START = 1_893_456_000  # 2030-01-01
BASE = BaseFloors(min_trades=10, calmar=0.15, pnl=0.0)


def bars(count: int, **changed: Any) -> Bars:
    return random_walk(3, count, step=2e-4, spread=2e-5, gap=0.0, wild=0.0, start=START, **changed)


class Environment:
    """One replica with its candles and its clock."""

    def __init__(self, store: Valkey, clock: FakeClock, url: str, **knobs: str) -> None:
        self.store, self.clock = store, clock
        self.settings = settings_of(url, **knobs)
        self.tape = bars(6000)
        self.at = 0
        self.replica = make_replica(store, clock, self.settings)

    async def feed(self, count: int) -> None:
        """Store the next bars and set the clock to a second after the last one."""
        await store_bars(self.store, PAIR, self.tape.slice(self.at, self.at + count))
        self.at += count
        self.clock.advance(START + 60 * self.at + 1 - self.clock.now_ns() / 1e9)

    async def evaluate(self) -> dict[str, Any]:
        await self.replica.lease.renew()
        await self.replica.evaluation.evaluate_now()
        return await stored_memory(self.store, PAIR)

    def restart(self) -> Replica:
        """Replace the replica by one with the same lease holder and empty memory."""
        self.replica = make_replica(self.store, self.clock, self.settings)
        return self.replica


@pytest.fixture
async def env(store: Valkey, clock: FakeClock, shared_valkey: Any) -> Environment:
    environment = Environment(store, clock, shared_valkey.url)
    await store.set(keys.best_config(PAIR), PERMISSIVE_PARAMS)
    return environment


async def signals(store: Valkey) -> list[int]:
    """Starts of the bars that have a signal, seconds."""
    index = await reply(store.zrange(keys.signal_index(PAIR), 0, -1))
    return [int(key.rsplit(b":", 1)[1]) // 10**9 for key in index]


async def test_the_same_data_never_counts_twice_even_after_a_restart(env: Environment) -> None:
    await env.feed(400)
    first = await env.evaluate()
    for _ in range(5):
        env.clock.advance(20)
        assert await env.evaluate() == first
        env.restart()
        assert await env.evaluate() == first
    await env.feed(1)
    second = await env.evaluate()
    assert second["watermark"] == first["watermark"] + 60
    assert second["passes"] + second["fails"] != first["passes"] + first["fails"]


async def test_eligibility_moves_by_hysteresis_alone(env: Environment) -> None:
    """Every change of the stored memory is one ``step`` of the gate state."""
    await env.feed(300)
    before = await env.evaluate()
    flips = cooled = 0
    for _ in range(120):
        await env.feed(10)
        after = await env.evaluate()
        record = json.loads(await reply(env.store.get(keys.backtest_summary(PAIR))))
        band = record["band"]
        verdict = Verdict.HOLD
        if all(d["value"] >= d["passes_at"] for d in band):
            verdict = Verdict.PASS
        elif any(d["value"] < d["fails_below"] for d in band):
            verdict = Verdict.FAIL
        now = now_ms(env.clock)
        known = state_of(before, now)
        assert state_of(after, now) == step(known, verdict, after["watermark"], now)
        flips += after["eligible"] != before["eligible"]
        cooled += after["cooldown"] is not None and before["cooldown"] is None
        before = after
    assert flips >= 4
    assert cooled >= 1


def state_of(found: dict[str, Any], now: int) -> GateState:
    until = int(found["cooldown"] or 0)
    return GateState(
        eligible=found["eligible"] == 1,
        passes=found["passes"],
        fails=found["fails"],
        misses=found["misses"],
        watermark=found["watermark"],
        cooldown_until=until if until > now else None,
    )


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 3), st.booleans())
def test_the_watermark_never_goes_back(at: int, then: int, passes: int, cooling: bool) -> None:
    until = COOLDOWN_MS if cooling else None
    state = GateState(passes=passes, watermark=at, cooldown_until=until)
    after = step(state, Verdict.PASS, then, 0)
    assert after.watermark == max(at, then)
    if then <= at:
        assert after == state


async def test_a_signal_is_written_for_every_bar_whichever_loop_read_it_first(
    env: Environment,
) -> None:
    await env.feed(300)
    await env.evaluate()
    await env.replica.candles.tick()
    assert len(await signals(env.store)) == 64
    for by_evaluation in (True, False, True):
        await env.feed(3)
        if by_evaluation:
            await env.evaluate()
        await env.replica.lease.renew()
        await env.replica.candles.tick()
        assert (await signals(env.store))[-3:] == [START + 60 * i for i in range(env.at)][-3:]
    assert len(await signals(env.store)) == 64 + 9


async def test_a_backfill_writes_the_newest_signals_and_keeps_the_lease(env: Environment) -> None:
    """A backfill brings many bars at once; writing all their signals would take minutes."""
    await env.feed(100)
    await env.replica.lease.renew()
    await env.replica.candles.tick()
    before = await env.store.zcard(keys.signal_index(PAIR))
    await env.feed(2000)
    await env.replica.lease.renew()
    await env.replica.candles.tick()
    written = await reply(env.store.zrange(keys.signal_index(PAIR), 0, -1, withscores=True))
    assert len(written) == before + 256
    assert written[-1][1] == (START + 60 * 2099) * 1000
    await env.feed(1)
    await env.replica.lease.renew()
    await env.replica.candles.tick()
    assert await env.store.zcard(keys.signal_index(PAIR)) == before + 257


async def test_new_parameters_write_the_latest_signals_again(env: Environment) -> None:
    await env.feed(300)
    await env.evaluate()
    await env.replica.candles.tick()
    last = keys.signal(PAIR, (START + 60 * 299) * 10**9)
    before = json.loads(await reply(env.store.get(last)))
    other = {**json.loads(PERMISSIVE_PARAMS), "bracket_sigma_k": 3.0}
    await env.store.set(keys.best_config(PAIR), json.dumps(other))
    await env.evaluate()
    await env.replica.candles.tick()
    after = json.loads(await reply(env.store.get(last)))
    stops = [s["bracket"]["stop_distance"] for s in (before, after)]
    assert stops[1] == pytest.approx(2 * stops[0])


async def test_the_signal_index_is_trimmed_to_the_long_run(env: Environment) -> None:
    old = keys.signal(PAIR, 1)
    await env.store.zadd(keys.signal_index(PAIR), {old: 1})
    await env.feed(300)
    await env.replica.lease.renew()
    await env.replica.candles.tick()
    assert await reply(env.store.zscore(keys.signal_index(PAIR), old)) is None


@pytest.mark.parametrize(
    "raw",
    [b"{", b"[1]", b'{"c_min": 2}', b'{"c_mim": 0.6}', b'{"c_min": NaN}', b"\xff", b"[" * 10**5],
)
async def test_invalid_parameters_close_the_gate_and_the_defaults_never_stand_in(
    env: Environment, raw: bytes
) -> None:
    await env.feed(300)
    before = await env.evaluate()
    await env.store.set(keys.best_config(PAIR), raw)
    with capture_logs() as logs:
        for restart in (False, True, False):
            if restart:
                env.restart()
            await env.feed(5)
            after = await env.evaluate()
            assert after == before
            blob = await stored_blob(env.store) or {}
            assert blob["gates"][PAIR] == 0
            assert "BAD_PARAMETERS" in blob["reasons"][PAIR]
    # Once for each of the two processes.
    assert [x["instrument"] for x in logs if "refused" in x["event"]] == [PAIR, PAIR]
    record = json.loads(await reply(env.store.get(keys.backtest_summary(PAIR))))
    assert (record["params"], record["summary"], record["spans"]) == ({}, None, {})


async def test_parameters_of_a_wrong_type_close_the_gate(env: Environment) -> None:
    await env.store.delete(keys.best_config(PAIR))
    await reply(env.store.lpush(keys.best_config(PAIR), "x"))
    await env.feed(300)
    await env.evaluate()
    blob = await stored_blob(env.store) or {}
    assert "BAD_PARAMETERS" in blob["reasons"][PAIR]


async def test_new_parameters_start_without_the_counters_of_the_old_ones(
    env: Environment,
) -> None:
    """After a rollback too: the digest in the stored values tells whose counters they are."""
    await env.feed(300)
    digest = digest_of(StrategyParams.from_mapping(json.loads(PERMISSIVE_PARAMS)))
    for counter in COUNTERS:
        value = "1" if counter == "watermark" else f"1:{digest}"
        await env.store.set(keys.gate_memory(counter, PAIR), value)
    other = {**json.loads(PERMISSIVE_PARAMS), "bracket_sigma_k": 3.0}
    for raw in (json.dumps(other), PERMISSIVE_PARAMS):
        await env.store.set(keys.best_config(PAIR), raw)
        env.restart()
        await env.feed(1)
        found = await env.evaluate()
        assert found["eligible"] == 0
        assert found["passes"] + found["fails"] <= 1
        blob = await stored_blob(env.store) or {}
        assert blob["reasons"][PAIR][0] == "PARAMETERS_NEW"
        digest = digest_of(StrategyParams.from_mapping(json.loads(raw)))
        stored = await reply(env.store.get(keys.gate_memory("eligible", PAIR)))
        assert stored == f"0:{digest}:new".encode()


async def test_valid_parameters_are_adopted_and_dropped_again(env: Environment) -> None:
    await env.feed(400)

    async def evaluated() -> tuple[float, int]:
        await env.evaluate()
        record = json.loads(await reply(env.store.get(keys.backtest_summary(PAIR))))
        return record["params"]["c_min"], record["summary"]["trades"]

    assert await evaluated() == (0.0, 16)
    await env.store.delete(keys.best_config(PAIR))
    c_min, trades = await evaluated()
    assert c_min == 0.55
    assert trades < 16


@pytest.mark.parametrize("counter", ["eligible", "passes", "fails", "misses", "watermark"])
@pytest.mark.parametrize("raw", ["x", "-1", "1.5", "", "1:", "1:xyz", "1:0a:old"])
async def test_a_corrupt_counter_is_logged_and_the_memory_is_reset(
    env: Environment, counter: str, raw: str
) -> None:
    for name in ("eligible", "passes", "fails", "misses", "watermark"):
        await env.store.set(keys.gate_memory(name, PAIR), raw if name == counter else "1")
    with capture_logs() as logs:
        found = await StoredGateMemory(env.store, BASE).load([PAIR], now_ms(env.clock))
    assert found[PAIR].state == GateState()
    assert [x["counter"] for x in logs] == [counter]


async def test_counters_of_different_parameters_are_reset(env: Environment) -> None:
    for name, raw in {"eligible": "1:0a", "passes": "2:0b", "watermark": "1"}.items():
        await env.store.set(keys.gate_memory(name, PAIR), raw)
    found = await StoredGateMemory(env.store, BASE).load([PAIR], now_ms(env.clock))
    assert found[PAIR].state == GateState()


async def test_counters_of_an_earlier_version_count_for_the_parameters_in_force(
    env: Environment,
) -> None:
    for name in ("eligible", "passes", "watermark"):
        await env.store.set(keys.gate_memory(name, PAIR), "1")
    found = await StoredGateMemory(env.store, BASE).load([PAIR], now_ms(env.clock))
    state = found[PAIR].state
    assert under(state, "0a") == replace(state, params="0a")
    assert state.eligible


async def test_without_a_watermark_passes_are_dropped_and_eligibility_is_kept(
    env: Environment,
) -> None:
    for name in ("eligible", "passes"):
        await env.store.set(keys.gate_memory(name, PAIR), "1")
    found = await StoredGateMemory(env.store, BASE).load([PAIR], now_ms(env.clock))
    assert found[PAIR].state == GateState(eligible=True)


@pytest.mark.parametrize(
    ("raw", "ttl_ms", "left_ms"),
    [
        ("1", 90_000, 90_000),  # set by hand: lasts as long as the key
        ("yes", 90_000, 90_000),
        ("yes", None, COOLDOWN_MS),  # a key without expiry: the full length of a cooldown
        ("{end}", None, 50_000),
    ],
)
async def test_a_cooldown_set_by_hand_holds_and_needs_fresh_passes_afterwards(
    env: Environment, raw: str, ttl_ms: int | None, left_ms: int
) -> None:
    now = now_ms(env.clock)
    raw = raw.format(end=now + 50_000)
    await env.store.set(keys.cooldown(PAIR), raw, px=ttl_ms)
    for name in ("eligible", "passes", "watermark"):
        await env.store.set(keys.gate_memory(name, PAIR), "1")
    state = (await StoredGateMemory(env.store, BASE).load([PAIR], now))[PAIR].state
    assert state.cooldown_until is not None
    assert state.cooldown_until - now == pytest.approx(left_ms, abs=5_000)
    assert (state.eligible, state.passes, state.watermark) == (False, 0, 1)


async def test_a_cooldown_past_its_end_is_over_although_its_key_exists(env: Environment) -> None:
    now = now_ms(env.clock)
    await env.store.set(keys.cooldown(PAIR), now)
    assert not (await StoredGateMemory(env.store, BASE).load([PAIR], now))[PAIR].state.cooling(now)


@pytest.mark.parametrize(
    "raw",
    [
        b"{", b"7", b'{"ts": 1}', b'{"ts":1,"trades":1,"calmar":NaN,"pnl":0}',
        b'{"ts":1,"trades":1,"calmar":0,"pnl":Infinity}',
        b'{"ts":1,"trades":-1,"calmar":0,"pnl":0}', b"[" * 10**5,
    ],
)  # fmt: skip
async def test_a_corrupt_sample_of_the_history_is_logged_and_left_out(
    env: Environment, raw: bytes
) -> None:
    now = now_ms(env.clock)
    valid = {"ts": now - 1, "trades": 7, "calmar": 0.5, "pnl": 0.01}
    key = keys.backtest_history(PAIR)
    await env.store.zadd(key, {raw: now - 2, json.dumps(valid).encode(): now - 1})
    with capture_logs() as logs:
        found = await StoredGateMemory(env.store, BASE).load([PAIR], now)
    assert [s.trades for s in found[PAIR].floors.history] == [7]
    assert len(logs) == 1


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["sample", "hours", "month", "lost", "corrupt"]), max_size=40))
async def test_a_history_read_in_parts_equals_the_stored_one(
    store: Valkey, events: list[str]
) -> None:
    """For any changes of the stored history between two reads."""
    key, now, cached = keys.backtest_history(PAIR), 1_893_456_000_000, StoredGateMemory(store, BASE)
    await store.delete(key)
    for number, event in enumerate(events):
        now += {"hours": 5 * HOUR_MS, "month": HISTORY_MS}.get(event, HOUR_MS)
        if event == "lost":
            await store.zremrangebyrank(key, number % 3, number % 3)
        elif event == "corrupt":
            await store.zadd(key, {f"no sample {number}": now})
        else:
            sample = Sample(
                ts=now,
                trades=number,
                calmar=number / 7,
                pnl=number / 1e4,
                params="0a" if number % 9 else "0b",
            )
            await store.zadd(key, {json.dumps(asdict(sample)): now})
        found = (await cached.load([PAIR], now))[PAIR].floors
        uncached = (await StoredGateMemory(store, BASE).load([PAIR], now))[PAIR].floors
        assert found.history == uncached.history
        for params in ("0a", "0b"):
            own = [s for s in uncached.history if s.params == params]
            expected = adaptive_floors(BASE, quartiles_of(own), 0.1)
            assert found.at(now, params, 0.1) == expected


async def test_a_corrupt_chunk_of_candles_is_logged_once_and_never_used(env: Environment) -> None:
    await env.feed(300)
    await env.evaluate()
    await env.feed(1440)
    key = keys.candles(PAIR, M1)
    newest = max(int(f) for f in await reply(env.store.hkeys(key)) if f.isdigit())
    intact = await reply(env.store.hget(key, str(newest)))
    await env.store.hset(key, str(newest), intact[:-1] + bytes([intact[-1] ^ 1]))
    with capture_logs() as logs:
        for _ in range(5):
            await env.replica.candles.tick()
    assert len([x for x in logs if "corrupt" in x["event"]]) == 1
    assert env.replica.runs.run(PAIR).watermark == newest - 60
    await env.store.hset(key, str(newest), intact)
    await env.feed(1)
    await env.replica.candles.tick()
    assert env.replica.runs.run(PAIR).watermark == START + 60 * (env.at - 1)


async def test_candles_stored_before_the_newest_one_rebuild_the_run(env: Environment) -> None:
    """A backfill or a correction is part of the next evaluation."""
    tape = env.tape
    await store_bars(env.store, PAIR, tape.slice(400, 600))
    env.clock.advance(START + 60 * 600 + 1 - env.clock.now_ns() / 1e9)
    await env.evaluate()
    assert len(env.replica.runs.run(PAIR)) == 200
    await store_bars(env.store, PAIR, tape.slice(0, 400))
    await env.evaluate()
    run = env.replica.runs.run(PAIR)
    assert len(run) == 600
    fresh = make_replica(env.store, env.clock, env.settings, "b")
    await fresh.evaluation.refresh()
    assert fresh.runs.run(PAIR).summary(1) == run.summary(1)
    higher = tape.slice(500, 501)
    for column in (higher.bid_c, higher.bid_h, higher.ask_c, higher.ask_h):
        column[0] *= 1.01
    await store_bars(env.store, PAIR, higher)
    await env.evaluate()
    run = env.replica.runs.run(PAIR)
    assert run.mid[500] == pytest.approx(float(higher.mid[0]), rel=1e-4)
    unchanged = run
    await store_bars(env.store, PAIR, higher)  # identical to what is stored
    await env.evaluate()
    assert env.replica.runs.run(PAIR) is unchanged


async def test_a_correction_of_a_low_alone_rebuilds_the_run_too(env: Environment) -> None:
    """A corrected low may mean that a stop was hit."""
    await env.feed(600)
    await env.evaluate()
    lower = env.tape.slice(500, 501)
    lower.bid_l[0] *= 0.99
    await store_bars(env.store, PAIR, lower)
    await env.feed(1)
    await env.replica.candles.tick()
    before = env.replica.runs.run(PAIR)
    assert len(before) == 601
    await env.evaluate()
    run = env.replica.runs.run(PAIR)
    assert run is not before
    fresh = make_replica(env.store, env.clock, env.settings, "b")
    await fresh.evaluation.refresh()
    assert np.array_equal(fresh.runs.run(PAIR).equity, run.equity)


async def test_deleted_candles_empty_the_run(env: Environment) -> None:
    await env.store.set(keys.best_config(PAIR), PERMISSIVE_PARAMS)
    await env.feed(600)
    await env.evaluate()
    assert len(env.replica.runs.run(PAIR)) == 600
    await env.store.delete(keys.candles(PAIR, M1))
    await env.evaluate()
    seen = await stored_blob(env.store)
    assert seen is not None
    assert seen["gates"] == {PAIR: 0}
    assert "NO_DATA" in seen["reasons"][PAIR]
    await env.feed(100)
    await env.evaluate()
    assert len(env.replica.runs.run(PAIR)) == 100


async def test_a_replica_restarted_at_the_weekend_gets_the_same_results(env: Environment) -> None:
    """The long run is counted from the end of the data, not from the clock."""
    for _ in range(40):
        await env.feed(120)
        await env.evaluate()
    env.clock.advance(2 * 86_400)
    warm = await env.evaluate()
    run = env.replica.runs.run(PAIR)
    again = env.restart()
    assert await env.evaluate() == warm
    assert np.array_equal(again.runs.run(PAIR).times, run.times)
    assert again.runs.run(PAIR).spans() == run.spans()


async def test_a_replica_that_lost_its_lease_writes_nothing(env: Environment) -> None:
    await env.feed(400)
    await env.feed(10)
    await env.replica.lease.renew()
    await env.store.delete(keys.lease("evaluator"))
    other = make_replica(env.store, env.clock, env.settings, "other")
    await other.lease.renew()
    before = (
        await stored_blob(env.store),
        await stored_memory(env.store, PAIR),
        await signals(env.store),
    )
    assert env.replica.lease.held  # it does not know yet
    with pytest.raises(NotTheWriterError):
        await env.replica.evaluation.evaluate_now()
    with pytest.raises(NotTheWriterError):
        await env.replica.candles.tick()
    after = (
        await stored_blob(env.store),
        await stored_memory(env.store, PAIR),
        await signals(env.store),
    )
    assert after == before
    await other.evaluation.evaluate_now()
    assert (await stored_memory(env.store, PAIR))["watermark"] == START + 60 * (env.at - 1)


async def test_one_gate_series_per_instrument_and_none_on_a_standby_replica(
    env: Environment,
) -> None:
    def series(name: str) -> dict[tuple[str, ...], float]:
        (found,) = [m for m in env.replica.registry.collect() if m.name == name]
        return {tuple(s.labels.values()): s.value for s in found.samples}

    assert math.isnan(series("sep_span_integrity_ok")[()])
    await env.feed(300)
    seen = set()
    for _ in range(60):
        await env.feed(10)
        await env.evaluate()
        (labels,) = series("sep_rolling_gate")
        assert labels == (PAIR, str((await stored_blob(env.store) or {})["gates"][PAIR]), "0.10")
        seen.add(labels)
    assert len(seen) == 2
    assert series("sep_span_integrity_ok") == {(): 1.0}
    assert set(series("sep_bt_calmar")) == {(PAIR,)}
    env.clock.advance(11)
    await env.replica.evaluation.tick()
    assert not series("sep_rolling_gate")
    assert not series("sep_bt_calmar")
    assert math.isnan(series("sep_span_integrity_ok")[()])


async def test_a_standby_replica_keeps_its_runs_up_to_date(env: Environment) -> None:
    standby = make_replica(env.store, env.clock, env.settings, "standby")
    await env.feed(300)
    await env.evaluate()
    await standby.evaluation.tick()
    assert standby.runs.run(PAIR).summary() == env.replica.runs.run(PAIR).summary()
    assert standby.runs.run(PAIR).params == env.replica.runs.run(PAIR).params
