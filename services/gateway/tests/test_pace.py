"""Rates are kept and dead brokers are left alone. Pure, but for the last."""

from hypothesis import given
from hypothesis import strategies as st
from sep_gateway.domain.circuit import FAILURES_TO_OPEN, Circuit
from sep_gateway.domain.rate_limit import RateLimit, reserve


@given(
    st.lists(st.floats(0, 0.5), min_size=1, max_size=400),
    st.sampled_from([RateLimit(90, 10), RateLimit(2, 2)]),
)
def test_no_second_sees_more_than_the_rate_and_one_burst(
    gaps: list[float], limit: RateLimit
) -> None:
    now, next_at, passed = 0.0, 0.0, []
    for gap in gaps:
        now += gap
        place = reserve(limit, next_at, now)
        next_at = place.next_at
        passed.append(now + place.wait_s)
    assert passed == sorted(passed)
    for i, start in enumerate(passed):
        within = sum(1 for at in passed[i:] if at < start + 1 - 1e-6)
        assert within <= limit.per_second + limit.burst


def test_an_idle_limit_does_not_wait() -> None:
    limit = RateLimit(10, 1)
    first = reserve(limit, 0.0, 100.0)
    assert first.wait_s == 0
    assert reserve(limit, first.next_at, 101.0).wait_s == 0


def failed(times: int, now: float = 0.0) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit = circuit.failed(now)
    return circuit


def test_the_circuit_opens_after_failures_in_a_row_and_not_before() -> None:
    assert not failed(FAILURES_TO_OPEN - 1).is_open(0.0)
    assert failed(FAILURES_TO_OPEN).is_open(0.0)
    assert not failed(FAILURES_TO_OPEN - 1).succeeded().failed(0.0).is_open(0.0)


def test_one_probe_passes_when_the_pause_is_over_and_others_wait_for_it() -> None:
    circuit = failed(FAILURES_TO_OPEN)
    assert not circuit.is_open(10.0)
    probing = circuit.admitted(10.0)
    assert probing.is_open(10.0)
    assert not probing.succeeded().is_open(10.0)


def test_a_dead_broker_is_asked_at_least_every_five_seconds() -> None:
    circuit = failed(100)
    assert circuit.is_open(4.9)
    assert not circuit.is_open(5.1)
