"""Candles to signals and gates, step by step, over a real store and a clock to turn."""

import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sep_evaluator.adapters.gate_memory import GateMemory
from sep_evaluator.domain.floors import (
    HISTORY_MS,
    HOUR_MS,
    BaseFloors,
    Sample,
    adaptive_floors,
)
from sep_evaluator.domain.gates import COOLDOWN_MS, GateState, Verdict, step
from sep_fx.bars import Bars
from sep_kit.clock import now_ms
from sep_kit.errors import NotTheWriterError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_testing.clock import FakeClock
from structlog.testing import capture_logs

from .candles import made_up
from .rig import EAGER, M1, Incarnation, blob, incarnation, memory, settings_of, write

PAIR = "EUR_USD"
START = 1_893_456_000  # 2030-01-01
BASE = BaseFloors(10, 0.15, 0.0)


def bars(count: int, **changed: Any) -> Bars:
    return made_up(3, count, step=2e-4, spread=2e-5, gap=0.0, wild=0.0, start=START, **changed)


class Desk:
    """One evaluator, its candles and its clock."""

    def __init__(self, store: Valkey, clock: FakeClock, url: str, **knobs: str) -> None:
        self.store, self.clock = store, clock
        self.settings = settings_of(url, **knobs)
        self.tape = bars(6000)
        self.at = 0
        self.alive = incarnation(store, clock, self.settings)

    async def feed(self, count: int) -> None:
        """Store the next bars; the clock stands a second after the last."""
        await write(self.store, PAIR, self.tape.slice(self.at, self.at + count))
        self.at += count
        self.clock.advance(START + 60 * self.at + 1 - self.clock.now_ns() / 1e9)

    async def evaluate(self) -> dict[str, Any]:
        await self.alive.lease.renew()
        await self.alive.evaluation.evaluate_now()
        return await memory(self.store, PAIR)

    def restart(self) -> Incarnation:
        """The same replica, its memory lost."""
        self.alive = incarnation(self.store, self.clock, self.settings)
        return self.alive


@pytest.fixture
async def desk(store: Valkey, clock: FakeClock, shared_valkey: Any) -> Desk:
    made = Desk(store, clock, shared_valkey.url)
    await store.set(keys.best_config(PAIR), EAGER)
    return made


async def signals(store: Valkey) -> list[int]:
    """Starts of the bars that have a signal, seconds."""
    index = await reply(store.zrange(keys.signal_index(PAIR), 0, -1))
    return [int(key.rsplit(b":", 1)[1]) // 10**9 for key in index]


async def test_the_same_data_never_counts_twice_whatever_is_restarted(desk: Desk) -> None:
    await desk.feed(400)
    first = await desk.evaluate()
    for _ in range(5):
        desk.clock.advance(20)
        assert await desk.evaluate() == first
        desk.restart()
        assert await desk.evaluate() == first
    await desk.feed(1)
    second = await desk.evaluate()
    assert second["watermark"] == first["watermark"] + 60
    assert second["passes"] + second["fails"] != first["passes"] + first["fails"]


async def test_gates_move_by_hysteresis_alone(desk: Desk) -> None:
    """Every step of the stored memory is a step of the gate machine."""
    await desk.feed(300)
    before = await desk.evaluate()
    flips = cooled = 0
    for _ in range(120):
        await desk.feed(10)
        after = await desk.evaluate()
        record = json.loads(await reply(desk.store.get(keys.backtest_summary(PAIR))))
        band = record["band"]
        verdict = Verdict.HOLD
        if all(d["value"] >= d["passes_at"] for d in band):
            verdict = Verdict.PASS
        elif any(d["value"] < d["fails_below"] for d in band):
            verdict = Verdict.FAIL
        now = now_ms(desk.clock)
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
        found["eligible"] == 1, found["passes"], found["fails"], found["misses"],
        found["watermark"], until if until > now else None,
    )  # fmt: skip


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 3), st.booleans())
def test_the_watermark_never_goes_back(at: int, then: int, passes: int, cooling: bool) -> None:
    until = COOLDOWN_MS if cooling else None
    state = GateState(passes=passes, watermark=at, cooldown_until=until)
    after = step(state, Verdict.PASS, then, 0)
    assert after.watermark == max(at, then)
    if then <= at:
        assert after == state


async def test_a_signal_is_written_for_every_bar_whoever_took_it_in_first(desk: Desk) -> None:
    await desk.feed(300)
    await desk.evaluate()
    await desk.alive.candles.tick()
    assert len(await signals(desk.store)) == 64
    for by_evaluation in (True, False, True):
        await desk.feed(3)
        if by_evaluation:
            await desk.evaluate()
        await desk.alive.lease.renew()
        await desk.alive.candles.tick()
        assert (await signals(desk.store))[-3:] == [START + 60 * i for i in range(desk.at)][-3:]
    assert len(await signals(desk.store)) == 64 + 9


async def test_a_backfill_writes_the_newest_signals_and_keeps_the_lease(desk: Desk) -> None:
    """Bars by the ten thousand, page by page behind the run: one write of them all took minutes."""
    await desk.feed(100)
    await desk.alive.lease.renew()
    await desk.alive.candles.tick()
    before = await desk.store.zcard(keys.signal_index(PAIR))
    await desk.feed(2000)
    await desk.alive.lease.renew()
    await desk.alive.candles.tick()
    written = await reply(desk.store.zrange(keys.signal_index(PAIR), 0, -1, withscores=True))
    assert len(written) == before + 256
    assert written[-1][1] == (START + 60 * 2099) * 1000
    await desk.feed(1)
    await desk.alive.lease.renew()
    await desk.alive.candles.tick()
    assert await desk.store.zcard(keys.signal_index(PAIR)) == before + 257


async def test_new_parameters_write_the_latest_signals_again(desk: Desk) -> None:
    await desk.feed(300)
    await desk.evaluate()
    await desk.alive.candles.tick()
    last = keys.signal(PAIR, (START + 60 * 299) * 10**9)
    before = json.loads(await reply(desk.store.get(last)))
    other = {**json.loads(EAGER), "bracket_sigma_k": 3.0}
    await desk.store.set(keys.best_config(PAIR), json.dumps(other))
    await desk.evaluate()
    await desk.alive.candles.tick()
    after = json.loads(await reply(desk.store.get(last)))
    stops = [s["bracket"]["stop_distance"] for s in (before, after)]
    assert stops[1] == pytest.approx(2 * stops[0])


async def test_the_signal_index_is_trimmed_to_the_long_run(desk: Desk) -> None:
    old = keys.signal(PAIR, 1)
    await desk.store.zadd(keys.signal_index(PAIR), {old: 1})
    await desk.feed(300)
    await desk.alive.lease.renew()
    await desk.alive.candles.tick()
    assert await reply(desk.store.zscore(keys.signal_index(PAIR), old)) is None


@pytest.mark.parametrize(
    "raw",
    [b"{", b"[1]", b'{"c_min": 2}', b'{"c_mim": 0.6}', b'{"c_min": NaN}', b"\xff", b"[" * 10**5],
)
async def test_winner_parameters_that_can_not_be_used_are_refused_once_and_defaults_stand(
    desk: Desk, raw: bytes
) -> None:
    await desk.store.set(keys.best_config(PAIR), raw)
    await desk.feed(300)
    with capture_logs() as logs:
        for _ in range(3):
            await desk.evaluate()
    assert [x["instrument"] for x in logs if "refused" in x["event"]] == [PAIR]
    record = json.loads(await reply(desk.store.get(keys.backtest_summary(PAIR))))
    assert record["params"]["c_min"] == 0.55


async def test_valid_winner_parameters_are_adopted_and_dropped_again(desk: Desk) -> None:
    await desk.feed(400)

    async def judged() -> tuple[float, int]:
        await desk.evaluate()
        record = json.loads(await reply(desk.store.get(keys.backtest_summary(PAIR))))
        return record["params"]["c_min"], record["summary"]["trades"]

    assert await judged() == (0.0, 16)
    await desk.store.delete(keys.best_config(PAIR))
    c_min, trades = await judged()
    assert c_min == 0.55
    assert trades < 16


@pytest.mark.parametrize("counter", ["eligible", "passes", "fails", "misses", "watermark"])
@pytest.mark.parametrize("raw", ["x", "-1", "1.5", ""])
async def test_a_corrupt_counter_is_logged_and_the_memory_starts_afresh(
    desk: Desk, counter: str, raw: str
) -> None:
    for name in ("eligible", "passes", "fails", "misses", "watermark"):
        await desk.store.set(keys.gate_memory(name, PAIR), raw if name == counter else "1")
    with capture_logs() as logs:
        found = await GateMemory(desk.store, BASE).load([PAIR], now_ms(desk.clock))
    assert found[PAIR].state == GateState()
    assert [x["counter"] for x in logs] == [counter]


async def test_without_a_watermark_no_pass_is_kept_but_eligibility_is(desk: Desk) -> None:
    for name in ("eligible", "passes"):
        await desk.store.set(keys.gate_memory(name, PAIR), "1")
    found = await GateMemory(desk.store, BASE).load([PAIR], now_ms(desk.clock))
    assert found[PAIR].state == GateState(eligible=True)


@pytest.mark.parametrize(
    ("raw", "ttl_ms", "left_ms"),
    [
        ("1", 90_000, 90_000),  # by hand: as long as the key lives
        ("yes", 90_000, 90_000),
        ("yes", None, COOLDOWN_MS),  # for ever, or no longer than any cooldown
        ("{end}", None, 50_000),
    ],
)
async def test_a_cooldown_holds_whoever_set_it_and_needs_fresh_passes_afterwards(
    desk: Desk, raw: str, ttl_ms: int | None, left_ms: int
) -> None:
    now = now_ms(desk.clock)
    raw = raw.format(end=now + 50_000)
    await desk.store.set(keys.cooldown(PAIR), raw, px=ttl_ms)
    for name in ("eligible", "passes", "watermark"):
        await desk.store.set(keys.gate_memory(name, PAIR), "1")
    state = (await GateMemory(desk.store, BASE).load([PAIR], now))[PAIR].state
    assert state.cooldown_until is not None
    assert state.cooldown_until - now == pytest.approx(left_ms, abs=5_000)
    assert (state.eligible, state.passes, state.watermark) == (False, 0, 1)


async def test_a_cooldown_that_is_over_is_over_although_its_key_still_stands(desk: Desk) -> None:
    now = now_ms(desk.clock)
    await desk.store.set(keys.cooldown(PAIR), now)
    assert not (await GateMemory(desk.store, BASE).load([PAIR], now))[PAIR].state.cooling(now)


@pytest.mark.parametrize(
    "raw",
    [
        b"{", b"7", b'{"ts": 1}', b'{"ts":1,"trades":1,"calmar":NaN,"pnl":0}',
        b'{"ts":1,"trades":1,"calmar":0,"pnl":Infinity}',
        b'{"ts":1,"trades":-1,"calmar":0,"pnl":0}', b"[" * 10**5,
    ],
)  # fmt: skip
async def test_a_corrupt_sample_of_the_history_is_logged_and_left_out(
    desk: Desk, raw: bytes
) -> None:
    now = now_ms(desk.clock)
    sound = {"ts": now - 1, "trades": 7, "calmar": 0.5, "pnl": 0.01}
    key = keys.backtest_history(PAIR)
    await desk.store.zadd(key, {raw: now - 2, json.dumps(sound).encode(): now - 1})
    with capture_logs() as logs:
        found = await GateMemory(desk.store, BASE).load([PAIR], now)
    assert [s.trades for s in found[PAIR].past.history] == [7]
    assert len(logs) == 1


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["sample", "hours", "month", "lost", "corrupt"]), max_size=40))
async def test_a_history_read_bit_by_bit_is_the_one_in_the_store(
    store: Valkey, events: list[str]
) -> None:
    """Whatever happens to it between two evaluations, and however few samples are sent again."""
    key, now, kept = keys.backtest_history(PAIR), 1_893_456_000_000, GateMemory(store, BASE)
    await store.delete(key)
    for number, event in enumerate(events):
        now += {"hours": 5 * HOUR_MS, "month": HISTORY_MS}.get(event, HOUR_MS)
        if event == "lost":
            await store.zremrangebyrank(key, number % 3, number % 3)
        elif event == "corrupt":
            await store.zadd(key, {f"no sample {number}": now})
        else:
            sample = Sample(now, number, number / 7, number / 1e4)
            await store.zadd(key, {json.dumps(asdict(sample)): now})
        found = (await kept.load([PAIR], now))[PAIR].past
        afresh = (await GateMemory(store, BASE).load([PAIR], now))[PAIR].past
        assert found.history == afresh.history
        assert found.at(now) == adaptive_floors(BASE, list(afresh.history))


async def test_a_corrupt_chunk_of_candles_is_logged_once_and_never_used(desk: Desk) -> None:
    await desk.feed(300)
    await desk.evaluate()
    await desk.feed(1440)
    key = keys.candles(PAIR, M1)
    newest = max(int(f) for f in await reply(desk.store.hkeys(key)) if f.isdigit())
    sound = await reply(desk.store.hget(key, str(newest)))
    await desk.store.hset(key, str(newest), sound[:-1] + bytes([sound[-1] ^ 1]))
    with capture_logs() as logs:
        for _ in range(5):
            await desk.alive.candles.tick()
    assert len([x for x in logs if "corrupt" in x["event"]]) == 1
    assert desk.alive.runs.run(PAIR).watermark == newest - 60
    await desk.store.hset(key, str(newest), sound)
    await desk.feed(1)
    await desk.alive.candles.tick()
    assert desk.alive.runs.run(PAIR).watermark == START + 60 * (desk.at - 1)


async def test_candles_that_come_in_behind_the_newest_are_taken_in(desk: Desk) -> None:
    """A backfill, or a correction: the run is made anew, and no evaluation goes without it."""
    tape = desk.tape
    await write(desk.store, PAIR, tape.slice(400, 600))
    desk.clock.advance(START + 60 * 600 + 1 - desk.clock.now_ns() / 1e9)
    await desk.evaluate()
    assert len(desk.alive.runs.run(PAIR)) == 200
    await write(desk.store, PAIR, tape.slice(0, 400))
    await desk.evaluate()
    run = desk.alive.runs.run(PAIR)
    assert len(run) == 600
    fresh = incarnation(desk.store, desk.clock, desk.settings, "b")
    await fresh.evaluation.refresh()
    assert fresh.runs.run(PAIR).summary(1) == run.summary(1)
    higher = tape.slice(500, 501)
    for column in (higher.bid_c, higher.bid_h, higher.ask_c, higher.ask_h):
        column[0] *= 1.01
    await write(desk.store, PAIR, higher)
    await desk.evaluate()
    run = desk.alive.runs.run(PAIR)
    assert run.mid[500] == pytest.approx(float(higher.mid[0]), rel=1e-4)
    kept = run
    await write(desk.store, PAIR, higher)  # as it is stored already
    await desk.evaluate()
    assert desk.alive.runs.run(PAIR) is kept


async def test_a_correction_that_leaves_the_close_alone_is_taken_in_too(desk: Desk) -> None:
    """A low that the broker corrects may be a stop that was hit."""
    await desk.feed(600)
    await desk.evaluate()
    lower = desk.tape.slice(500, 501)
    lower.bid_l[0] *= 0.99
    await write(desk.store, PAIR, lower)
    await desk.feed(1)
    await desk.alive.candles.tick()
    before = desk.alive.runs.run(PAIR)
    assert len(before) == 601
    await desk.evaluate()
    run = desk.alive.runs.run(PAIR)
    assert run is not before
    fresh = incarnation(desk.store, desk.clock, desk.settings, "b")
    await fresh.evaluation.refresh()
    assert np.array_equal(fresh.runs.run(PAIR).equity, run.equity)


async def test_candles_that_are_gone_leave_no_run_behind(desk: Desk) -> None:
    await desk.store.set(keys.best_config(PAIR), EAGER)
    await desk.feed(600)
    await desk.evaluate()
    assert len(desk.alive.runs.run(PAIR)) == 600
    await desk.store.delete(keys.candles(PAIR, M1))
    await desk.evaluate()
    seen = await blob(desk.store)
    assert seen is not None
    assert seen["gates"] == {PAIR: 0}
    assert "NO_DATA" in seen["reasons"][PAIR]
    await desk.feed(100)
    await desk.evaluate()
    assert len(desk.alive.runs.run(PAIR)) == 100


async def test_a_replica_restarted_at_the_weekend_arrives_at_the_same_figures(desk: Desk) -> None:
    """The long run is counted from the end of the data, not from the clock."""
    for _ in range(40):
        await desk.feed(120)
        await desk.evaluate()
    desk.clock.advance(2 * 86_400)
    warm = await desk.evaluate()
    run = desk.alive.runs.run(PAIR)
    again = desk.restart()
    assert await desk.evaluate() == warm
    assert np.array_equal(again.runs.run(PAIR).times, run.times)
    assert again.runs.run(PAIR).spans() == run.spans()


async def test_a_replica_that_lost_its_lease_writes_nothing(desk: Desk) -> None:
    await desk.feed(400)
    await desk.feed(10)
    await desk.alive.lease.renew()
    await desk.store.delete(keys.lease("evaluator"))
    other = incarnation(desk.store, desk.clock, desk.settings, "other")
    await other.lease.renew()
    before = (await blob(desk.store), await memory(desk.store, PAIR), await signals(desk.store))
    assert desk.alive.lease.held  # it can't know yet
    with pytest.raises(NotTheWriterError):
        await desk.alive.evaluation.evaluate_now()
    with pytest.raises(NotTheWriterError):
        await desk.alive.candles.tick()
    after = (await blob(desk.store), await memory(desk.store, PAIR), await signals(desk.store))
    assert after == before
    await other.evaluation.evaluate_now()
    assert (await memory(desk.store, PAIR))["watermark"] == START + 60 * (desk.at - 1)


async def test_one_gate_series_an_instrument_and_none_on_a_replica_that_waits(desk: Desk) -> None:
    def series(name: str) -> dict[tuple[str, ...], float]:
        (found,) = [m for m in desk.alive.registry.collect() if m.name == name]
        return {tuple(s.labels.values()): s.value for s in found.samples}

    assert math.isnan(series("sep_span_integrity_ok")[()])
    await desk.feed(300)
    seen = set()
    for _ in range(60):
        await desk.feed(10)
        await desk.evaluate()
        (labels,) = series("sep_rolling_gate")
        assert labels == (PAIR, str((await blob(desk.store) or {})["gates"][PAIR]), "0.10")
        seen.add(labels)
    assert len(seen) == 2
    assert series("sep_span_integrity_ok") == {(): 1.0}
    assert set(series("sep_bt_calmar")) == {(PAIR,)}
    desk.clock.advance(11)
    await desk.alive.evaluation.tick()
    assert not series("sep_rolling_gate")
    assert not series("sep_bt_calmar")
    assert math.isnan(series("sep_span_integrity_ok")[()])


async def test_a_waiting_replica_keeps_its_runs_warm(desk: Desk) -> None:
    waiting = incarnation(desk.store, desk.clock, desk.settings, "waiting")
    await desk.feed(300)
    await desk.evaluate()
    await waiting.evaluation.tick()
    assert waiting.runs.run(PAIR).summary() == desk.alive.runs.run(PAIR).summary()
    assert waiting.runs.run(PAIR).params == desk.alive.runs.run(PAIR).params
