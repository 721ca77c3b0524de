import pytest
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually


async def test_the_first_truthy_answer_is_handed_back() -> None:
    answers = iter([None, 0, "", "found"])
    assert await eventually(lambda: next(answers), every_s=0.001) == "found"


async def test_a_failed_assertion_counts_as_not_yet() -> None:
    answers = iter([1, 2, 3])

    async def probe() -> bool:
        assert next(answers) == 3
        return True

    assert await eventually(probe, every_s=0.001)


async def test_the_last_failure_is_told_when_time_runs_out() -> None:
    def probe() -> bool:
        raise AssertionError("still 5 left")

    with pytest.raises(AssertionError, match="still 5 left"):
        await eventually(probe, within_s=0.01, every_s=0.001)
    with pytest.raises(AssertionError, match="last answer: 0"):
        await eventually(lambda: 0, within_s=0.01, every_s=0.001)


async def test_any_other_error_comes_through_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        await eventually(lambda: 1 // 0)


def test_a_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock("2026-03-04T12:00:00Z")
    start = clock.now_ns()
    clock.advance(1.5)
    assert clock.now_ns() - start == 1_500_000_000
    clock.set("2026-03-04T12:00:00Z")
    assert clock.now_ns() == start
