"""Fresh reads that many ask for at once."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sep_kit.errors import StoreUnavailableError, TooSlowError
from sep_kit.grpc.patience import answer_in_time
from sep_kit.grpc.scope import CallScope, current
from sep_kit.grpc.shared_reads import SharedReads

SOMEBODY = CallScope("a call")


class Fact:
    """Changes all the time; a read of it takes a while."""

    def __init__(self) -> None:
        self.value = 0
        self.begun = 0
        self.under_way = 0

    async def read(self) -> int:
        self.begun += 1
        self.under_way += 1
        assert self.under_way == 1, "two reads of one fact at once"
        seen = self.value
        for _ in range(3):
            await asyncio.sleep(0)
        self.under_way -= 1
        return seen


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_no_answer_is_older_than_its_question(pauses: list[int]) -> None:
    async def scenario() -> None:
        reads, fact = SharedReads(), Fact()

        async def ask() -> None:
            known = fact.value
            assert await answer_in_time(reads.ask("k", SOMEBODY, fact.read), SOMEBODY) >= known

        asking = []
        for pause in pauses:
            fact.value += 1
            asking.append(asyncio.create_task(ask()))
            for _ in range(pause):
                await asyncio.sleep(0)
        await asyncio.gather(*asking)

    asyncio.run(scenario())


async def test_however_many_wait_one_read_is_made_for_them() -> None:
    reads, fact = SharedReads(), Fact()
    answers = [reads.ask("k", SOMEBODY, fact.read) for _ in range(100)]
    await asyncio.sleep(0)
    fact.value = 7
    late = [reads.ask("k", SOMEBODY, fact.read) for _ in range(100)]
    assert set(await asyncio.gather(*answers)) == {0}
    assert set(await asyncio.gather(*late)) == {7}
    assert fact.begun == 2


async def test_other_questions_do_not_wait() -> None:
    reads, never = SharedReads(), asyncio.Event()
    reads.ask("hangs", SOMEBODY, never.wait)
    assert await reads.ask("k", SOMEBODY, Fact().read) == 0
    never.set()


async def test_who_hangs_up_takes_nothing_from_the_others() -> None:
    reads, fact = SharedReads(), Fact()

    async def ask() -> int:
        return int(await answer_in_time(reads.ask("k", SOMEBODY, fact.read), SOMEBODY))

    first, second = (asyncio.create_task(ask()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 0


async def test_an_error_is_told_to_all_who_waited_and_not_to_the_next() -> None:
    reads, fails = SharedReads(), [True, False]

    async def make() -> str:
        if fails.pop(0):
            raise StoreUnavailableError("away")
        return "fact"

    asked = [reads.ask("k", SOMEBODY, make) for _ in range(3)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(t) for t in told] == [StoreUnavailableError] * 3
    assert await reads.ask("k", SOMEBODY, make) == "fact"


@pytest.mark.parametrize(
    ("ends", "expected"), [((5.0, 9.0, 7.0), 9.0), ((5.0, None), None), ((None, 5.0), None)]
)
async def test_a_read_may_take_as_long_as_the_most_patient_waits(
    ends: tuple[float | None, ...], expected: float | None
) -> None:
    reads = SharedReads()

    async def make() -> CallScope | None:
        return current()

    for end in ends:
        asked = reads.ask("k", CallScope("x", end), make)
    assert await asked == CallScope("x", expected)


async def test_who_can_not_wait_is_told_so_and_the_answer_is_made_all_the_same() -> None:
    reads, go_on = SharedReads(), asyncio.Event()
    now = asyncio.get_running_loop().time
    answer = reads.ask("k", SOMEBODY, go_on.wait)
    with pytest.raises(TooSlowError):
        await answer_in_time(answer, CallScope("x", now() + 0.05))
    go_on.set()
    assert await answer_in_time(answer, SOMEBODY) is True


async def test_nothing_is_left_behind() -> None:
    reads, fact = SharedReads(), Fact()
    await asyncio.gather(*(reads.ask(i, SOMEBODY, Fact().read) for i in range(50)))
    await reads.ask("k", SOMEBODY, fact.read)
    assert vars(reads) == {"_next": {}, "_running": {}}
