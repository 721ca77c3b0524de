"""Killed at random moments, the evaluator leaves the gates that it would have left anyway."""

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
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .candles import made_up, shifted
from .rig import COUNTERS, EAGER, blob, incarnation, memory, settings_of, write

PAIRS = ("EUR_USD", "USD_JPY", "GBP_USD")
STEP = 10  # bars between two evaluations
BEFORE = 300  # bars before the first
KILLS = 200


def tape(pair: int, bars: int) -> Bars:
    """Candles on which gates open, close and cool down."""
    return made_up(pair, bars, step=2e-4, spread=2e-5, gap=0.0, wild=0.0, start=1_893_456_000)


async def snapshot(store: Valkey) -> dict[str, Any]:
    return {"blob": await blob(store), **{i: await memory(store, i) for i in PAIRS}}


class Course:
    """The same candles and the same clock, step by step, over a store of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = settings_of(url, HOTBAND_PAIRS=",".join(PAIRS))
        self.store = open_valkey(url)
        self.clock = FakeClock()
        self.lives = 0
        self._tapes = {pair: tape(i, BEFORE + STEP * KILLS) for i, pair in enumerate(PAIRS)}

    async def begin(self) -> None:
        for pair in PAIRS:
            await self.store.set(keys.best_config(pair), EAGER)
            await write(self.store, pair, self._tapes[pair].slice(0, BEFORE))

    async def next_candles(self, step: int) -> None:
        at = BEFORE + STEP * step
        for pair in PAIRS:
            await write(self.store, pair, self._tapes[pair].slice(at, at + STEP))
        end = int(self._tapes[PAIRS[0]].time[at + STEP - 1]) + 60
        self.clock.advance(end + 1 - self.clock.now_ns() / 1e9)

    async def begin_life(self) -> dict[str, Any]:
        """What a new evaluator needs to know; the lease of the one before has run out."""
        self.lives += 1
        await self.store.delete(keys.lease("evaluator"))
        return {
            "url": self.url,
            "pairs": ",".join(PAIRS),
            "now_ns": self.clock.now_ns(),
            "holder": f"life {self.lives}",
        }


class Nursery:
    """Evaluators in processes of their own, forked in an instant; see ``doomed.py``."""

    def __init__(self, parent: asyncio.subprocess.Process) -> None:
        self._parent = parent

    @classmethod
    async def open(cls) -> "Nursery":
        parent = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.doomed", cwd=Path(__file__).parents[1],
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return cls(parent)

    async def close(self) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        await self._parent.wait()

    async def evaluate(self, life: dict[str, Any], kill_after_s: float | None = None) -> int:
        """One evaluation; returns how the process ended."""
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(life).encode() + b"\n")
        pid = await self._number()
        if kill_after_s is not None:
            await asyncio.sleep(kill_after_s)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return await self._number()

    async def _number(self) -> int:
        assert self._parent.stdout is not None
        return int(await self._parent.stdout.readline())


@pytest.mark.timeout(300)  # four hundred processes
async def test_200_kills_at_random_moments_leave_the_same_gate_history(
    shared_valkey: ValkeyServer, store: Valkey
) -> None:
    chance = random.Random(20)
    undisturbed = Course(shared_valkey.url.replace("/0", "/1"))
    disturbed = Course(shared_valkey.url.replace("/0", "/2"))
    loop = asyncio.get_running_loop()
    for course in (undisturbed, disturbed):
        await course.begin()
    expected = []
    alive = incarnation(
        undisturbed.store, undisturbed.clock, undisturbed.settings, "never disturbed"
    )
    for step in range(KILLS):
        await undisturbed.next_candles(step)
        await alive.lease.renew()
        await alive.evaluation.evaluate_now()
        expected.append(await snapshot(undisturbed.store))
    nursery, committed, killed, typical = await Nursery.open(), 0, 0, 0.05
    try:
        for step in range(KILLS):
            await disturbed.next_candles(step)
            moment = chance.uniform(0, 1.2) * typical
            ended = await nursery.evaluate(await disturbed.begin_life(), moment)
            killed += ended == -signal.SIGKILL
            seen = await blob(disturbed.store)
            committed += seen is not None and seen["ts"] == expected[step]["blob"]["ts"]
            began = loop.time()
            assert await nursery.evaluate(await disturbed.begin_life()) == 0
            typical = 0.8 * typical + 0.2 * (loop.time() - began)
            assert await snapshot(disturbed.store) == expected[step], step
    finally:
        await nursery.close()
    # The moments lay on both sides of the commit, and the gates had a history worth the name.
    assert killed > KILLS / 2
    assert KILLS / 20 < committed < KILLS * 19 / 20
    gates = [e["blob"]["gates"] for e in expected]
    assert sum(a != b for a, b in pairwise(gates)) > 5
    assert any(e[pair]["cooldown"] for e in expected for pair in PAIRS)
    assert max(len(expected[-1][pair]["history"]) for pair in PAIRS) >= 24
    for course in (undisturbed, disturbed):
        await course.store.aclose()


class Process:
    """``python -m sep_evaluator``, to be killed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sep_evaluator",
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


def counted(state: dict[str, Any]) -> dict[str, Any]:
    """What does not hang on the wall clock."""
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
    # Event time ends at the machine's own time, as it does in life.
    end = int((await reply(own.time()))[0]) // 60 * 60
    tapes = {
        pair: shifted(t, end - int(t.time[-1]) - 60)
        for i, pair in enumerate(PAIRS)
        if (t := tape(i + 3, BEFORE + STEP * steps))
    }
    now.advance(end - now.now_ns() / 1e9)
    reference = incarnation(
        store, now, settings_of(shared_valkey.url, HOTBAND_PAIRS=",".join(PAIRS))
    )
    process = Process(valkey.url)
    try:
        for pair in PAIRS:
            await own.set(keys.best_config(pair), EAGER)
            await store.set(keys.best_config(pair), EAGER)
        for step in range(steps):
            for pair in PAIRS:
                part = (
                    tapes[pair].slice(0, BEFORE)
                    if step == 0
                    else tapes[pair].slice(BEFORE + STEP * (step - 1), BEFORE + STEP * step)
                )
                await write(store, pair, part)
                await write(own, pair, part)
            await reference.lease.renew()
            await reference.evaluation.evaluate_now()
            if step % 2 == 0:
                await process.kill()
                await own.delete(keys.lease("evaluator"))  # as ten seconds do
                await process.start()
            elif step % 3 == 0:
                await asyncio.sleep(chance.uniform(0, 0.2))
                await asyncio.to_thread(valkey.kill)
                await asyncio.to_thread(valkey.start)
            expected = {pair: counted(await memory(store, pair)) for pair in PAIRS}

            async def arrived(expected: dict[str, Any] = expected) -> bool:
                found = {pair: counted(await memory(own, pair)) for pair in PAIRS}
                marks = [found[p]["watermark"] == expected[p]["watermark"] for p in PAIRS]
                if all(marks):
                    assert found == expected
                return all(marks)

            await eventually(arrived, within_s=20)
            await asyncio.sleep(chance.uniform(0, 0.3))
    finally:
        await process.kill()
        await own.aclose()
