"""One at a time, the newest first, and one that gave up takes no turn."""

import asyncio

from sep_gateway.application.newest_first import NewestFirst


async def test_newest_goes_first_and_the_cancelled_take_no_turn() -> None:
    lock = NewestFirst()
    order: list[str] = []
    release = asyncio.Event()

    async def work(name: str) -> None:
        async with lock.turn():
            order.append(name)
            await release.wait()

    tasks = []
    for name in ("first", "oldest", "cancelled", "newest"):
        tasks.append(asyncio.create_task(work(name)))
        await asyncio.sleep(0)
    tasks[2].cancel()
    release.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["first", "newest", "oldest"]
    async with asyncio.timeout(1), lock.turn():
        pass


async def test_turn_given_to_one_that_is_cancelled_goes_on() -> None:
    lock = NewestFirst()
    async with lock.turn():
        waiting = asyncio.create_task(_take(lock))
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(1), lock.turn():
        pass


async def _take(lock: NewestFirst) -> None:
    async with lock.turn():
        pass
