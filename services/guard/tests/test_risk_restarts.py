"""A guard that dies before or after any of its commits comes to the same verdicts."""

from typing import Any

import pytest
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease, QueueCommands
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer

from .harness import risk_log
from .risk_environment import EUR, GBP, RiskEnvironment

_MOST_COMMITS = 80


class KilledError(Exception):
    """The process ended here."""


class Death:
    """Ends the process at its n-th commit, once."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.left, self.after, self.happened = at, after, False

    def now(self) -> bool:
        self.left -= 1
        self.happened |= self.left == 0
        return self.left == 0


def mortal(death: Death) -> type[Lease]:
    class MortalLease(Lease):
        async def write(self, queue: QueueCommands) -> list[Any]:
            dies = death.now()
            if dies and not death.after:
                raise KilledError
            result = await super().write(queue)
            if dies:
                raise KilledError
            return result

    return MortalLease


async def step(env: RiskEnvironment, **weights: float) -> None:
    """One cycle; a guard that is killed in it is replaced, and its successor runs another."""
    try:
        await env.cycle(**weights)
    except KilledError:
        await env.restart()
        await env.cycle(**weights)


async def day(env: RiskEnvironment) -> int:
    """Entries, refusals, a withdrawal, a loss and a recovery; orders placed before the trip."""
    await env.feed.kill_switch(False)
    await step(env)
    await step(env, EUR_USD=0.10)
    await step(env, EUR_USD=0.10)
    for _ in range(3):
        env.broker.refuse(GBP, "BOUNDS_VIOLATION")
    await step(env, EUR_USD=0.10, GBP_USD=0.10)
    env.broker.transfer(-20_000)
    await step(env, EUR_USD=0.10)
    env.lose("2.5")
    await step(env, EUR_USD=0.10)
    entries = sum(not intent.reduce_only for intent in env.broker.placed)
    env.broker.nav = None
    await step(env, EUR_USD=0.20, GBP_USD=0.10)
    return entries


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_a_death_at_any_commit_changes_no_verdict(
    store: Valkey, shared_valkey: ValkeyServer, *, after: bool
) -> None:
    for at in range(1, _MOST_COMMITS):
        await reply(store.flushdb())
        death = Death(at, after=after)
        env = RiskEnvironment(store, FakeClock(), shared_valkey.url, mortal(death))
        before_the_trip = await day(env)

        assert await env.switch() == (True, "breaker"), at
        assert sum(not i.reduce_only for i in env.broker.placed) == before_the_trip, at
        assert env.held(GBP) == 0, at
        events = [e for e in await risk_log(store) if e[0] != "BASELINE_STARTED"]
        assert events == [("LOCKED", "rejects", GBP), ("BREAKER_TRIPPED", "daily_loss", "")], at
        rows = {row.limit.value: row for row in await env.guard.queries.limits()}
        opened = sum(abs(i.units) for i in env.broker.placed if not i.reduce_only)
        observed = rows["turnover"].observed
        assert observed is not None
        assert abs(observed * 80_000 - opened * env.broker.mids[EUR]) < 1, at
        if not death.happened:
            return
    raise AssertionError("the day has more commits than were tried")
