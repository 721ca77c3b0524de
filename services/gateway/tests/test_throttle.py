"""Rate limits, the circuit breaker, and secrecy of the token."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sep_gateway.adapters.oanda.broker import OandaBroker
from sep_gateway.adapters.oanda.failures import CircuitOpenError
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.throttle import Throttle, Throttles
from sep_gateway.domain.circuit import FAILURES_TO_OPEN, Circuit
from sep_gateway.domain.orders import MarketOrder, OrderState
from sep_gateway.domain.rate_limit import RateLimit, reserve
from sep_gateway.metrics import GatewayMetrics
from sep_kit.errors import BrokerUnavailableError
from sep_paper_broker.app import RunningBroker
from sep_testing.eventually import eventually


@given(
    st.lists(st.floats(0, 0.5), min_size=1, max_size=400),
    st.sampled_from([RateLimit(per_second=90, burst=10), RateLimit(per_second=2, burst=2)]),
)
def test_rate_limit_is_never_exceeded_in_any_second(gaps: list[float], limit: RateLimit) -> None:
    now, next_at, passed = 0.0, 0.0, []
    for gap in gaps:
        now += gap
        slot = reserve(limit, next_at, now)
        next_at = slot.next_at
        passed.append(now + slot.wait_s)
    assert passed == sorted(passed)
    for i, start in enumerate(passed):
        within = sum(1 for at in passed[i:] if at < start + 1 - 1e-6)
        assert within <= limit.per_second + limit.burst


def test_idle_rate_limit_does_not_delay() -> None:
    limit = RateLimit(per_second=10, burst=1)
    first = reserve(limit, 0.0, 100.0)
    assert first.wait_s == 0
    assert reserve(limit, first.next_at, 101.0).wait_s == 0


def failed(times: int, now: float = 0.0) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit = circuit.failed(now)
    return circuit


def test_circuit_opens_after_consecutive_failures_and_not_before() -> None:
    assert not failed(FAILURES_TO_OPEN - 1).is_open(0.0)
    assert failed(FAILURES_TO_OPEN).is_open(0.0)
    assert not failed(FAILURES_TO_OPEN - 1).succeeded().failed(0.0).is_open(0.0)


def test_circuit_admits_one_probe_after_the_pause() -> None:
    circuit = failed(FAILURES_TO_OPEN)
    assert not circuit.is_open(10.0)
    probing = circuit.admitted(10.0)
    assert probing.is_open(10.0)
    assert not probing.succeeded().is_open(10.0)


def test_open_circuit_admits_a_probe_at_least_every_five_seconds() -> None:
    circuit = failed(100)
    assert circuit.is_open(4.9)
    assert not circuit.is_open(5.1)


async def test_new_connections_are_throttled(broker: RunningBroker) -> None:
    """OANDA allows two at once, then two a second."""
    metrics = GatewayMetrics(CollectorRegistry())
    http = OandaHttp(
        broker.url, SecretStr(broker.settings.token), 5.0, Throttles.for_oanda(metrics), metrics
    )
    oanda = OandaBroker(http, broker.settings.account)
    started = asyncio.get_running_loop().time()
    broker.faults.add({"kind": "latency", "seconds": 0.6, "times": 4})
    await asyncio.gather(*(oanda.positions() for _ in range(4)))
    elapsed = asyncio.get_running_loop().time() - started
    assert elapsed >= 1.0, "four slow responses need four connections"
    waits = metrics.limiter_waits.labels("connections")._value.get()
    assert waits == 2
    await asyncio.gather(*(oanda.positions() for _ in range(4)))
    assert metrics.limiter_waits.labels("connections")._value.get() == waits
    await http.close()


async def test_circuit_refuses_requests_to_a_failing_broker_and_recovers(
    broker: RunningBroker,
) -> None:
    metrics = GatewayMetrics(CollectorRegistry())
    fast = Throttle("fast", RateLimit(per_second=1000, burst=100), metrics)
    http = OandaHttp(
        broker.url, SecretStr(broker.settings.token), 5.0, Throttles(fast, fast), metrics
    )
    oanda = OandaBroker(http, broker.settings.account)
    fault = broker.faults.add({"kind": "status", "status": 503})
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(BrokerUnavailableError):
            await oanda.account()
    order = MarketOrder(client_order_id="an-order-1", instrument="EUR_USD", units=Decimal(1))
    attempts: list[Callable[[], Awaitable[object]]] = [
        oanda.account, lambda: oanda.create_market_order(order),
    ]  # fmt: skip

    async def refuses() -> bool:
        # The first pause is half a second: on a machine that stalls, one of them is the probe.
        for attempt in attempts:
            try:
                await attempt()
            except CircuitOpenError:
                continue
            except BrokerUnavailableError:
                pass
            return False
        return True

    await eventually(refuses)
    # A reduction is sent even while the circuit is open.
    reduction = replace(order, reduce_only=True)
    assert (await oanda.create_market_order(reduction)).state is OrderState.UNKNOWN
    broker.faults.remove(fault.id)

    async def responds() -> bool:
        try:
            return bool((await oanda.account()).id)
        except CircuitOpenError:
            return False

    await eventually(responds)
    await http.close()


async def test_token_is_in_no_error_and_no_repr(broker: RunningBroker) -> None:
    metrics = GatewayMetrics(CollectorRegistry())
    secret = "hunter2-hunter2"
    for url in (broker.url, "http://127.0.0.1:1", broker.url + "/nowhere"):
        http = OandaHttp(url, SecretStr(secret), 0.5, Throttles.for_oanda(metrics), metrics)
        with pytest.raises(BrokerUnavailableError) as failure:
            await OandaBroker(http, broker.settings.account).account()
        shown = "".join(traceback.format_exception(failure.value)) + repr(vars(http))
        assert secret not in shown
        await http.close()


async def test_urgent_requests_go_before_those_that_wait() -> None:
    async def at_once() -> bool:
        # A machine that is busy or stalls spoils one or the other.
        urgent_s, all_s = await _urgent_among_reads()
        # The one that was cancelled took no slot: five waits of 100 ms.
        return urgent_s < 0.3 and all_s < 0.58

    await eventually(at_once)


async def _urgent_among_reads() -> tuple[float, float]:
    """Seconds until an urgent request among six reads passes, and until all have."""
    throttle = Throttle(
        "slow", RateLimit(per_second=10, burst=1), GatewayMetrics(CollectorRegistry())
    )
    order: list[str] = []

    async def go(name: str, *, urgent: bool = False) -> None:
        await throttle.wait(urgent=urgent)
        order.append(name)

    reads = [asyncio.create_task(go(f"read {n}")) for n in range(6)]
    await asyncio.sleep(0)
    cancelled = reads.pop(2)
    cancelled.cancel()
    started = asyncio.get_running_loop().time()
    await go("order", urgent=True)
    urgent_s = asyncio.get_running_loop().time() - started
    await asyncio.gather(*reads)
    assert order == ["read 0", "order", "read 1", "read 3", "read 4", "read 5"]
    return urgent_s, asyncio.get_running_loop().time() - started


async def test_order_does_not_wait_for_connections_that_slow_reads_hold(
    broker: RunningBroker,
) -> None:
    metrics = GatewayMetrics(CollectorRegistry())
    fast = Throttle("fast", RateLimit(per_second=1000, burst=100), metrics)
    http = OandaHttp(
        broker.url, SecretStr(broker.settings.token), 40.0, Throttles(fast, fast), metrics
    )
    oanda = OandaBroker(http, broker.settings.account)
    broker.faults.add({"kind": "latency", "seconds": 15, "path": "openPositions", "times": 100})
    reads = [asyncio.create_task(oanda.positions()) for _ in range(20)]
    # Seven connections are all that reads may hold.
    await eventually(lambda: broker.faults.faults[0].times == 100 - 7)
    order = MarketOrder(client_order_id="an-order-1", instrument="EUR_USD", units=Decimal(1))
    async with asyncio.timeout(10):
        assert (await oanda.create_market_order(order)).state is OrderState.FILLED
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    await http.close()
