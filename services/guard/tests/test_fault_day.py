"""A day in which everything goes wrong that can: seeded, accelerated, against the real gateway.

``FAULT_DAY_SEED`` chooses another day, ``FAULT_DAY_EPISODES`` a longer one,
``FAULT_DAY_ONLY`` its faults; see tests/README.md.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sep_fx.sessions import MarketCalendar
from sep_paper_broker.app import serve_paper_broker
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.valkey import ValkeyServer

from .fault_day.faults import DYING, FAULTS, Fault
from .fault_day.promises import Promises
from .fault_day.stand import PAIRS, TOKEN, DayClock, Stand

SEED = int(os.environ.get("FAULT_DAY_SEED", "13"))
EPISODES = int(os.environ.get("FAULT_DAY_EPISODES", str(len(FAULTS))))
ONLY = frozenset(filter(None, os.environ.get("FAULT_DAY_ONLY", "").split(",")))
START = "2026-03-04T07:00:00Z"
DAY_S = 86_400
CYCLE_S = 30

pytestmark = pytest.mark.timeout(120 + 10 * EPISODES)


@pytest.fixture
async def stand(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    # The clock moves by minutes between two cycles: what expires by it is renewed as quickly.
    monkeypatch.setattr("sep_gateway.application.broker_link.INTERVAL_S", 0.1)
    monkeypatch.setattr("sep_kit.service.RENEW_SECONDS", 0.1)
    clock = DayClock(START)
    settings = PaperSettings(
        token=TOKEN, calendar=MarketCalendar.FX, seed=SEED, poll_seconds=0.05,
        heartbeat_seconds=0.3,
    )  # fmt: skip
    async with serve_paper_broker(settings, clock=clock.now_ns) as paper:
        made = Stand(paper, valkey, clock, random.Random(SEED))
        try:
            await made.start()
            yield made
        finally:
            await made.close()


async def test_a_day_of_random_faults_passes_no_cap_and_leaves_nothing_double_or_naked(
    stand: Stand,
) -> None:
    print(f"FAULT_DAY_SEED={SEED} FAULT_DAY_EPISODES={EPISODES}")
    promises = Promises(stand)
    for number, fault in enumerate(episodes(stand.chance)):
        try:
            await episode(stand, promises, fault)
        except AssertionError as error:
            error.add_note(f"seed {SEED}, episode {number} of {EPISODES}: {fault.name}")
            raise
    await quiet_end(stand, promises)
    await promises.at_the_end()
    report(stand, promises)
    kinds = Counter(r["kind"] for r in stand.records if r["event"] == "decision")
    # A day on which nothing was traded would prove nothing.
    assert kinds["ENTRY"] >= EPISODES / 2, kinds
    assert kinds["REDUCTION"] >= EPISODES / 4, kinds


def episodes(chance: random.Random) -> list[Fault]:
    """Every kind equally often, in random order."""
    found: list[Fault] = []
    chosen = [f for f in FAULTS if not ONLY or f.name in ONLY]
    while len(found) < EPISODES:
        found += chance.sample(chosen, len(chosen))
    return found[:EPISODES]


async def episode(stand: Stand, promises: Promises, fault: Fault) -> None:
    """Time passes, a fault begins and lasts for a cycle or two, and ends."""
    stand.clock.advance(DAY_S / EPISODES * stand.chance.uniform(0.2, 1.2))
    await operate(stand)
    await stand.settle_in()
    await run_cycle(stand, promises)
    stand.clock.advance(CYCLE_S)
    await stand.settle_in()
    think_again(stand)
    await stand.write_inputs()
    await fault.begin(stand)
    await run_cycle(stand, promises, fault)
    if stand.chance.random() < 0.5:
        stand.clock.advance(CYCLE_S)
        if stand.valkey.answers():
            await stand.write_inputs()
        await run_cycle(stand, promises, fault, first=False)
    await fault.end(stand)
    for _ in range(2):
        stand.clock.advance(CYCLE_S)
        await stand.settle_in()
        await run_cycle(stand, promises)


async def operate(stand: Stand) -> None:
    """What operator, evaluator and allocator do meanwhile."""
    if stand.chance.random() < 0.7:
        await stand.unlock()
    await stand.switch(engaged=False)
    think_again(stand)


def think_again(stand: Stand) -> None:
    """Other weights and directions, so that the next cycle has something to do."""
    chance = stand.chance
    for pair in PAIRS:
        if chance.random() < 0.25:
            stand.directions[pair] *= -1
    stand.weights = {p: chance.choice((0.03, 0.06, 0.10)) for p in PAIRS if chance.random() < 0.8}


async def run_cycle(
    stand: Stand, promises: Promises, fault: Fault | None = None, *, first: bool = True
) -> None:
    """One cycle with what happens meanwhile, and what must hold after it."""
    if fault is None:
        await stand.write_inputs()
    promises.before_cycle()
    task = asyncio.create_task(stand.cycle())
    if fault is not None and first and fault.during is not None:
        await fault.during(stand)
    if fault is not None and fault.name == DYING:
        await asyncio.wait([task], timeout=stand.chance.uniform(0, 0.15))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await stand.replace_guard()
        promises.after_cycle(None, closes_work=False)
        return
    cycle = await task
    promises.after_cycle(cycle, closes_work=fault is None or not fault.holds_up_closes)
    if stand.valkey.answers():
        await stand.read_log()


async def quiet_end(stand: Stand, promises: Promises) -> None:
    """Cycles without a fault: what is unknown is settled, what is lost is found."""
    await stand.switch(engaged=False)
    for _ in range(4):
        stand.clock.advance(CYCLE_S)
        await stand.settle_in()
        await run_cycle(stand, promises)


def report(stand: Stand, promises: Promises) -> None:
    """What the day consisted of, for the output."""
    decisions = [r for r in stand.records if r["event"] == "decision"]
    outcomes = Counter(r["outcome"] for r in stand.records if r["event"] == "order")
    reasons = Counter(r["reasons"][0] for r in decisions if r["kind"] == "REDUCTION")
    refusals = Counter(x for r in decisions if r["kind"] == "REFUSAL" for x in r["reasons"])
    stops = Counter(r["kind"] for r in stand.records if r["event"] == "stop")
    print(f"{stand.cycles} cycles, left out {dict(stand.skipped)}, longest {dict(promises.worst)}")
    print(f"orders {dict(outcomes)}, stops {dict(stops)}")
    print(f"reductions {dict(reasons)}")
    print(f"refusals {dict(refusals)}")
