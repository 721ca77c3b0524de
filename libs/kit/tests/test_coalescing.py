"""Concurrent reads of the same fact."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sep_kit.errors import StoreUnavailableError, TooSlowError
from sep_kit.grpc.call_context import CallContext, current
from sep_kit.grpc.coalescing import RequestCoalescer
from sep_kit.grpc.deadlines import wait_within_deadline

CALL = CallContext("a call")


class Fact:
    """A value that changes between reads; a read takes several loop iterations."""

    def __init__(self) -> None:
        self.value = 0
        self.started = 0
        self.under_way = 0

    async def read(self) -> int:
        self.started += 1
        self.under_way += 1
        assert self.under_way == 1, "two reads of one fact at once"
        seen = self.value
        for _ in range(3):
            await asyncio.sleep(0)
        self.under_way -= 1
        return seen


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_a_response_is_never_older_than_its_request(pauses: list[int]) -> None:
    async def scenario() -> None:
        coalescer, fact = RequestCoalescer(), Fact()

        async def request() -> None:
            known = fact.value
            assert await wait_within_deadline(coalescer.get("k", CALL, fact.read), CALL) >= known

        requests = []
        for pause in pauses:
            fact.value += 1
            requests.append(asyncio.create_task(request()))
            for _ in range(pause):
                await asyncio.sleep(0)
        await asyncio.gather(*requests)

    asyncio.run(scenario())


async def test_concurrent_callers_share_one_read() -> None:
    coalescer, fact = RequestCoalescer(), Fact()
    early = [coalescer.get("k", CALL, fact.read) for _ in range(100)]
    await asyncio.sleep(0)
    fact.value = 7
    late = [coalescer.get("k", CALL, fact.read) for _ in range(100)]
    assert set(await asyncio.gather(*early)) == {0}
    assert set(await asyncio.gather(*late)) == {7}
    assert fact.started == 2


async def test_other_keys_do_not_wait() -> None:
    coalescer, never = RequestCoalescer(), asyncio.Event()
    coalescer.get("hangs", CALL, never.wait)
    assert await coalescer.get("k", CALL, Fact().read) == 0
    never.set()


async def test_a_cancelled_caller_does_not_affect_the_others() -> None:
    coalescer, fact = RequestCoalescer(), Fact()

    async def request() -> int:
        return int(await wait_within_deadline(coalescer.get("k", CALL, fact.read), CALL))

    first, second = (asyncio.create_task(request()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 0


async def test_an_error_goes_to_all_who_shared_the_read_and_not_to_later_callers() -> None:
    coalescer, fails = RequestCoalescer(), [True, False]

    async def read() -> str:
        if fails.pop(0):
            raise StoreUnavailableError("away")
        return "fact"

    shared = [coalescer.get("k", CALL, read) for _ in range(3)]
    results = await asyncio.gather(*shared, return_exceptions=True)
    assert [type(r) for r in results] == [StoreUnavailableError] * 3
    assert await coalescer.get("k", CALL, read) == "fact"


@pytest.mark.parametrize(
    ("ends", "expected"), [((5.0, 9.0, 7.0), 9.0), ((5.0, None), None), ((None, 5.0), None)]
)
async def test_a_read_gets_the_latest_deadline_of_those_who_share_it(
    ends: tuple[float | None, ...], expected: float | None
) -> None:
    coalescer = RequestCoalescer()

    async def read() -> CallContext | None:
        return current()

    for end in ends:
        shared = coalescer.get("k", CallContext("x", end), read)
    assert await shared == CallContext("x", expected)


async def test_a_passed_deadline_fails_the_caller_and_does_not_cancel_the_read() -> None:
    coalescer, proceed = RequestCoalescer(), asyncio.Event()
    now = asyncio.get_running_loop().time
    response = coalescer.get("k", CALL, proceed.wait)
    with pytest.raises(TooSlowError):
        await wait_within_deadline(response, CallContext("x", now() + 0.05))
    proceed.set()
    assert await wait_within_deadline(response, CALL) is True


async def test_finished_reads_leave_no_state() -> None:
    coalescer, fact = RequestCoalescer(), Fact()
    await asyncio.gather(*(coalescer.get(i, CALL, Fact().read) for i in range(50)))
    await coalescer.get("k", CALL, fact.read)
    assert vars(coalescer) == {"_pending": {}, "_running": {}}
