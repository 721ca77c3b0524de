"""Gates pay the costs of ``EVAL_COSTS_JSON``; over a real Valkey and a fake clock."""

import json
from typing import Any

import pytest
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.costs import Costs
from sep_evaluator.domain.params import StrategyParams, digest_of
from sep_fx.sessions import MarketCalendar, SessionCalendar
from sep_kit.store import keys
from sep_kit.store.candles import CandleStore
from sep_kit.store.connection import Valkey, reply
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually

from .harness import M1, PERMISSIVE_PARAMS, running, settings_of, stored_blob
from .test_evaluator_loops import PAIR, START, Environment

PARAMS = StrategyParams.from_mapping(json.loads(PERMISSIVE_PARAMS))
SLIPS = {"slippage_bps": 1.0, "financing_bps": 2.0, "delay_sec": 60}


def costly(**costs: float) -> dict[str, str]:
    return {"EVAL_COSTS_JSON": json.dumps({PAIR: costs})}


@pytest.fixture
async def env(store: Valkey, clock: FakeClock, shared_valkey: Any) -> Environment:
    await store.set(keys.best_config(PAIR), PERMISSIVE_PARAMS)
    return Environment(store, clock, shared_valkey.url)


def restarted(env: Environment, **knobs: str) -> None:
    """The service is stopped, and started with these knobs."""
    env.settings = settings_of(env.settings.valkey_url, **knobs)
    env.restart()


async def written(env: Environment) -> dict[bytes, object]:
    """All that an evaluator stored about its gates, byte for byte."""
    found: dict[bytes, object] = {}
    for key in await reply(env.store.keys("*:rolling:*")):
        text = await reply(env.store.type(key)) == b"string"
        read = env.store.get(key) if text else env.store.zrange(key, 0, -1)
        found[key] = await reply(read)
    return found


async def summary(env: Environment) -> dict[str, Any]:
    record = json.loads(await reply(env.store.get(keys.backtest_summary(PAIR))))
    found: dict[str, Any] = record["summary"]
    return found


async def test_a_gate_is_judged_by_the_backtest_that_pays_the_costs(env: Environment) -> None:
    await env.feed(600)
    await env.evaluate()
    free = await summary(env)
    restarted(env, **costly(**SLIPS))
    await env.evaluate()
    paid = await summary(env)
    calendar = SessionCalendar(MarketCalendar.ALWAYS)
    run = StrictSpanRun(
        PARAMS, 60, PAIR, calendar, env.settings.session_exit_minutes,
        costs=Costs.from_mapping(SLIPS),
    )  # fmt: skip
    run.extend(await CandleStore(env.store).read_bars(PAIR, M1, START))
    expected = run.summary(env.settings.eval_span_days)
    assert (paid["trades"], paid["pnl_total"]) == (expected.trades, expected.pnl_total)
    assert paid["trades"] > 10
    assert paid["pnl_total"] < free["pnl_total"]


async def test_costs_of_nothing_leave_every_byte_of_the_gates(
    env: Environment, store: Valkey
) -> None:
    start = env.clock.now_ns()

    async def day(**knobs: str) -> dict[bytes, object]:
        await store.flushdb()
        await store.set(keys.best_config(PAIR), PERMISSIVE_PARAMS)
        env.clock.advance((start - env.clock.now_ns()) / 1e9)
        env.at = 0
        restarted(env, **knobs)
        for count in (400, 1, 1, 60):
            await env.feed(count)
            await env.evaluate()
        return await written(env)

    without = await day()
    assert keys.GATES_BLOB.encode() in without
    assert keys.backtest_history(PAIR).encode() in without
    assert await day(EVAL_COSTS_JSON="{}") == without
    nothing = {"default": {"slippage_bps": 0, "delay_sec": 0}, PAIR: {"financing_bps": 0}}
    assert await day(EVAL_COSTS_JSON=json.dumps(nothing)) == without
    assert await day(**costly(slippage_bps=1)) != without


async def test_other_costs_close_a_gate_as_other_parameters_do(env: Environment) -> None:
    """Its figures are others; floors of the old ones and passes by them count for nothing."""
    await env.feed(400)
    await env.evaluate()
    histories = []
    for knobs in (costly(slippage_bps=1), costly(slippage_bps=2), {}):
        restarted(env, **knobs)
        await env.feed(1)
        found = await env.evaluate()
        assert found["eligible"] == 0
        assert found["passes"] + found["fails"] <= 1
        blob = await stored_blob(env.store) or {}
        assert blob["reasons"][PAIR][0] == "PARAMETERS_NEW"
        # What the parameters are called by stays: the guard and their history know them by it.
        assert blob["params"][PAIR]["digest"] == digest_of(PARAMS)
        eligible = await reply(env.store.get(keys.gate_memory("eligible", PAIR)))
        histories.append(eligible.split(b":")[1])
    assert len(set(histories)) == 3
    assert histories[-1] == digest_of(PARAMS).encode()


async def test_a_restart_with_the_same_costs_changes_nothing(env: Environment) -> None:
    restarted(env, **costly(slippage_bps=1))
    await env.feed(400)
    first = await env.evaluate()
    restarted(env, **costly(slippage_bps=1.0, delay_sec=0))
    env.clock.advance(20)
    assert await env.evaluate() == first
    assert first["watermark"] == START + 60 * 399


async def test_the_service_judges_by_the_costs_of_its_settings(env: Environment) -> None:
    await env.feed(400)
    totals = []
    for knobs in ({}, costly(slippage_bps=3)):
        await env.store.delete(keys.backtest_summary(PAIR))
        settings = settings_of(env.settings.valkey_url, **knobs)
        async with running(settings, env.clock):
            await eventually(lambda: env.store.exists(keys.backtest_summary(PAIR)), within_s=60)
        totals.append((await summary(env))["pnl_total"])
    assert totals[1] < totals[0]
