import pytest
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually


async def test_the_first_truthy_value_is_returned() -> None:
    values = iter([None, 0, "", "found"])
    assert await eventually(lambda: next(values), every_s=0.001) == "found"


async def test_a_failed_assertion_is_retried() -> None:
    values = iter([1, 2, 3])

    async def probe() -> bool:
        assert next(values) == 3
        return True

    assert await eventually(probe, every_s=0.001)


async def test_the_last_failure_is_raised_on_timeout() -> None:
    def probe() -> bool:
        raise AssertionError("still 5 left")

    with pytest.raises(AssertionError, match="still 5 left"):
        await eventually(probe, within_s=0.01, every_s=0.001)
    with pytest.raises(AssertionError, match="last value: 0"):
        await eventually(lambda: 0, within_s=0.01, every_s=0.001)


async def test_any_other_error_propagates_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        await eventually(lambda: 1 // 0)


def test_a_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock("2026-03-04T12:00:00Z")
    start = clock.now_ns()
    clock.advance(1.5)
    assert clock.now_ns() - start == 1_500_000_000
    clock.set("2026-03-04T12:00:00Z")
    assert clock.now_ns() == start
