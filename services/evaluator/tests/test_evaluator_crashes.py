"""An evaluator that is killed at random moments publishes the same gates as one that is not."""

import asyncio
import json
import os
import random
import signal
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sep_fx.bars import Bars
from sep_kit.death_signal import dying_with_us
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .candles import random_walk, shifted
from .harness import (
    COUNTERS,
    PERMISSIVE_PARAMS,
    make_replica,
    settings_of,
    store_bars,
    stored_blob,
    stored_memory,
)

PAIRS = ("EUR_USD", "USD_JPY", "GBP_USD")
STEP = 10  # bars between two evaluations
BEFORE = 300  # bars before the first
KILLS = 200


def tape(pair: int, bars: int) -> Bars:
    """Candles on which gates open, close and cool down."""
    return random_walk(pair, bars, step=2e-4, spread=2e-5, gap=0.0, wild=0.0, start=1_893_456_000)


async def snapshot(store: Valkey) -> dict[str, Any]:
    return {"blob": await stored_blob(store), **{i: await stored_memory(store, i) for i in PAIRS}}


class Scenario:
    """The same candles and clock for every instance, step by step, over its own database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = settings_of(url, HOTBAND_PAIRS=",".join(PAIRS))
        self.store = open_valkey(url)
        self.clock = FakeClock()
        self.starts = 0
        self._tapes = {pair: tape(i, BEFORE + STEP * KILLS) for i, pair in enumerate(PAIRS)}

    async def begin(self) -> None:
        for pair in PAIRS:
            await self.store.set(keys.best_config(pair), PERMISSIVE_PARAMS)
            await store_bars(self.store, pair, self._tapes[pair].slice(0, BEFORE))

    async def next_candles(self, step: int) -> None:
        at = BEFORE + STEP * step
        for pair in PAIRS:
            await store_bars(self.store, pair, self._tapes[pair].slice(at, at + STEP))
        end = int(self._tapes[PAIRS[0]].time[at + STEP - 1]) + 60
        self.clock.advance(end + 1 - self.clock.now_ns() / 1e9)

    async def new_job(self) -> dict[str, Any]:
        """The job of a new process; the lease of the process before has expired."""
        self.starts += 1
        await self.store.delete(keys.lease("evaluator"))
        return {
            "url": self.url,
            "pairs": ",".join(PAIRS),
            "now_ns": self.clock.now_ns(),
            "holder": f"process {self.starts}",
        }


class ForkServer:
    """Evaluators in their own processes; see ``crashing_process.py``."""

    def __init__(self, parent: asyncio.subprocess.Process) -> None:
        self._parent = parent

    @classmethod
    async def open(cls) -> "ForkServer":
        parent = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crashing_process", cwd=Path(__file__).parents[1],
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return cls(parent)

    async def close(self) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        await self._parent.wait()

    async def evaluate(self, job: dict[str, Any], kill_after_s: float | None = None) -> int:
        """Run one evaluation and return the exit status of its process."""
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(job).encode() + b"\n")
        pid = await self._number()
        if kill_after_s is not None:
            await asyncio.sleep(kill_after_s)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return await self._number()

    async def _number(self) -> int:
        assert self._parent.stdout is not None
        return int(await self._parent.stdout.readline())


@pytest.mark.timeout(900)  # four hundred processes
async def test_200_kills_at_random_moments_leave_the_same_gate_history(
    shared_valkey: ValkeyServer, store: Valkey
) -> None:
    chance = random.Random(20)
    undisturbed = Scenario(shared_valkey.url.replace("/0", "/1"))
    disturbed = Scenario(shared_valkey.url.replace("/0", "/2"))
    loop = asyncio.get_running_loop()
    for scenario in (undisturbed, disturbed):
        await scenario.begin()
    expected = []
    replica = make_replica(
        undisturbed.store, undisturbed.clock, undisturbed.settings, "undisturbed"
    )
    for step in range(KILLS):
        await undisturbed.next_candles(step)
        await replica.lease.renew()
        await replica.evaluation.evaluate_now()
        expected.append(await snapshot(undisturbed.store))
    server, committed, killed, typical_s = await ForkServer.open(), 0, 0, 0.05
    try:
        for step in range(KILLS):
            await disturbed.next_candles(step)
            kill_after_s = chance.uniform(0, 1.2) * typical_s
            ended = await server.evaluate(await disturbed.new_job(), kill_after_s)
            killed += ended == -signal.SIGKILL
            seen = await stored_blob(disturbed.store)
            committed += seen is not None and seen["ts"] == expected[step]["blob"]["ts"]
            began = loop.time()
            assert await server.evaluate(await disturbed.new_job()) == 0
            typical_s = 0.8 * typical_s + 0.2 * (loop.time() - began)
            assert await snapshot(disturbed.store) == expected[step], step
    finally:
        await server.close()
    # The kills fell on both sides of the commit, and the gates changed often enough.
    assert killed > KILLS / 2
    assert KILLS / 20 < committed < KILLS * 19 / 20
    gates = [e["blob"]["gates"] for e in expected]
    assert sum(a != b for a, b in pairwise(gates)) > 5
    assert any(e[pair]["cooldown"] for e in expected for pair in PAIRS)
    assert max(len(expected[-1][pair]["history"]) for pair in PAIRS) >= 24
    for scenario in (undisturbed, disturbed):
        await scenario.store.aclose()


class Process:
    """``python -m sep_evaluator`` as a process that the test kills."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._running = await asyncio.create_subprocess_exec(
            *dying_with_us(sys.executable, "-m", "sep_evaluator"),
            env={
                "PATH": os.environ["PATH"],
                "GRPC_LISTEN": "127.0.0.1:0",
                "GATEWAY_ADDR": "127.0.0.1:1",
                "VALKEY_URL": self._url,
                "HOTBAND_PAIRS": ",".join(PAIRS),
                "MARKET_CALENDAR": "24x7",
                "EVAL_LONG_RUN_DAYS": "2",
                "EVAL_SPAN_DAYS": "1",
                "EVAL_MIN_TRADES": "5",
                "EVAL_INTERVAL_SEC": "0.1",
            },
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def kill(self) -> None:
        if self._running is not None:
            self._running.kill()
            await self._running.wait()
            self._running = None


def without_times(state: dict[str, Any]) -> dict[str, Any]:
    """The gate memory without values that depend on the wall clock."""
    figures = [{k: v for k, v in json.loads(s).items() if k != "ts"} for s in state["history"]]
    return {
        **{c: state[c] for c in COUNTERS},
        "cooldown": state["cooldown"] is not None,
        "history": figures,
    }


async def test_kill_9_of_evaluator_and_valkey_leaves_the_same_gate_history(
    valkey: ValkeyServer, shared_valkey: ValkeyServer, store: Valkey
) -> None:
    chance = random.Random(9)
    steps = 10
    own = open_valkey(valkey.url)
    now = FakeClock()
    # Event time ends at the machine's time, as in production.
    end = int((await reply(own.time()))[0]) // 60 * 60
    tapes = {
        pair: shifted(t, end - int(t.time[-1]) - 60)
        for i, pair in enumerate(PAIRS)
        if (t := tape(i + 3, BEFORE + STEP * steps))
    }
    now.advance(end - now.now_ns() / 1e9)
    reference = make_replica(
        store, now, settings_of(shared_valkey.url, HOTBAND_PAIRS=",".join(PAIRS))
    )
    process = Process(valkey.url)
    try:
        for pair in PAIRS:
            await own.set(keys.best_config(pair), PERMISSIVE_PARAMS)
            await store.set(keys.best_config(pair), PERMISSIVE_PARAMS)
        for step in range(steps):
            for pair in PAIRS:
                part = (
                    tapes[pair].slice(0, BEFORE)
                    if step == 0
                    else tapes[pair].slice(BEFORE + STEP * (step - 1), BEFORE + STEP * step)
                )
                await store_bars(store, pair, part)
                await store_bars(own, pair, part)
            await reference.lease.renew()
            await reference.evaluation.evaluate_now()
            if step % 2 == 0:
                await process.kill()
                await own.delete(keys.lease("evaluator"))  # as its expiry after ten seconds does
                await process.start()
            elif step % 3 == 0:
                await asyncio.sleep(chance.uniform(0, 0.2))
                await asyncio.to_thread(valkey.kill)
                await asyncio.to_thread(valkey.start)
            expected = {pair: without_times(await stored_memory(store, pair)) for pair in PAIRS}

            async def arrived(expected: dict[str, Any] = expected) -> bool:
                found = {pair: without_times(await stored_memory(own, pair)) for pair in PAIRS}
                marks = [found[p]["watermark"] == expected[p]["watermark"] for p in PAIRS]
                if all(marks):
                    assert found == expected
                return all(marks)

            await eventually(arrived, within_s=90)
            await asyncio.sleep(chance.uniform(0, 0.3))
    finally:
        await process.kill()
        await own.aclose()
