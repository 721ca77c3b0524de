"""One at a time, in order; the excess is refused at once, and one that gave up takes no turn."""

import asyncio

import pytest
from sep_gateway.application.bounded_turns import BoundedTurns
from sep_kit.errors import RateLimitedError


async def test_turns_go_by_arrival_and_the_excess_is_refused_at_once() -> None:
    turns = BoundedTurns("reads", most_waiting=3)
    order: list[str] = []
    release = asyncio.Event()

    async def work(name: str) -> None:
        async with turns.turn():
            order.append(name)
            await release.wait()

    tasks = []
    for name in ("first", "second", "cancelled", "third"):
        tasks.append(asyncio.create_task(work(name)))
        await asyncio.sleep(0)
    with pytest.raises(RateLimitedError, match="3 reads wait already"):
        await work("excess")
    tasks[2].cancel()
    await asyncio.sleep(0)
    # Its place is free again.
    tasks.append(asyncio.create_task(work("fourth")))
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["first", "second", "third", "fourth"]


async def test_a_turn_given_to_one_that_is_cancelled_goes_on() -> None:
    turns = BoundedTurns("reads", most_waiting=3)
    async with turns.turn():
        waiting = asyncio.create_task(_take(turns))
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(10), turns.turn():
        pass


async def test_a_free_turn_is_taken_even_where_none_may_wait() -> None:
    turns = BoundedTurns("reads", most_waiting=0)
    async with turns.turn():
        with pytest.raises(RateLimitedError):
            await _take(turns)
    await _take(turns)


async def _take(turns: BoundedTurns) -> None:
    async with turns.turn():
        pass
