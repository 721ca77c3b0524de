"""The allocator as a whole service: gates blob in, new or held weights out."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from sep.allocator.v1 import allocator_pb2 as pb
from sep.allocator.v1 import allocator_pb2_grpc
from sep.ops.v1 import ops_pb2, ops_pb2_grpc
from sep_allocator.app import build
from sep_allocator.settings import AllocatorSettings
from sep_fx.instants import NS_PER_MS
from sep_kit.clock import now_ms
from sep_kit.errors import SepError
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_kit.store.lease import Lease
from sep_kit.store.records import SignalRecord
from sep_kit.store.signals import queue_signal
from sep_testing.calls import call
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer
from structlog.testing import capture_logs

EUR, GBP, JPY = "EUR_USD", "GBP_USD", "USD_JPY"
PAIRS = (EUR, GBP, JPY)


@dataclass(frozen=True)
class Service:
    """A running allocator, its store and its clock."""

    stub: Any
    ops: Any
    store: Valkey
    clock: FakeClock

    async def status(self) -> Any:
        request = pb.GetAllocationStatusRequest()
        return await call(self.stub.GetAllocationStatus, request, peer="allocator")

    async def ranking(self) -> list[Any]:
        response = await call(self.stub.ListRanking, pb.ListRankingRequest(), peer="allocator")
        return list(response.ranking)

    async def metric(self, name: str) -> float:
        response = await call(self.ops.ScrapeMetrics, ops_pb2.ScrapeMetricsRequest(), peer="ops")
        values = [x for x in response.exposition.splitlines() if x.startswith(name)]
        return float(values[0].rsplit(" ", 1)[1]) if values else math.nan

    async def publish(self, **blob: Any) -> None:
        """Publish a blob as the evaluator does, or the text ``raw`` instead of it."""
        await publish(self.store, self.clock, **blob)

    async def weights(self) -> dict[str, Any]:
        raw = await reply(self.store.get(keys.ALLOCATION_WEIGHTS))
        found: dict[str, Any] = json.loads(raw) if raw else {}
        return found


async def publish(
    store: Valkey,
    clock: FakeClock,
    open_: Iterable[str] = (),
    cooling: Iterable[str] = (),
    ts: int | None = None,
    raw: str | None = None,
) -> None:
    blob = {
        "ts": now_ms(clock) if ts is None else ts,
        "gates": {p: int(p in set(open_)) for p in PAIRS},
        "cooldowns": {p: int(p in set(cooling)) for p in PAIRS},
        "bufs": dict.fromkeys(PAIRS, 0.1),
        "reasons": {p: [] if p in set(open_) else ["CALMAR_LOW"] for p in PAIRS},
    }
    await store.set(keys.GATES_BLOB, json.dumps(blob) if raw is None else raw)
    await store.publish(keys.GATES_CHANNEL, "1")


async def store_signal(store: Valkey, clock: FakeClock, instrument: str, coherence: float) -> None:
    record = SignalRecord.model_validate(
        {
            "ts_ns": (now_ms(clock) - 60_000) * NS_PER_MS,
            "price": 1.1,
            "metrics": {"coherence": coherence, "stability": 0.5, "entropy": 0.5, "rupture": 0.2},
            "coeffs": {"sigma_eff": 0.0001, "lambda": 0.05},
            "slope_bps": 2.5,
            "direction": 1,
        }
    )
    async with store.pipeline() as pipe:
        queue_signal(pipe, instrument, record, 3600)
        await pipe.execute()


def settings_of(url: str, **overrides: str) -> AllocatorSettings:
    environment = {
        "GRPC_LISTEN": "127.0.0.1:0",
        "VALKEY_URL": url,
        "HOTBAND_PAIRS": ",".join(PAIRS),
        "MARKET_CALENDAR": "24x7",
        "ALLOC_INTERVAL_SEC": "0.1",
        **overrides,
    }
    return load_settings(AllocatorSettings, environment)


@asynccontextmanager
async def running(
    store: Valkey, clock: FakeClock, url: str, **overrides: str
) -> AsyncIterator[Service]:
    async with (
        running_service("allocator", settings_of(url, **overrides), build, clock) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Service(
            allocator_pb2_grpc.AllocatorServiceStub(channel),
            ops_pb2_grpc.OpsServiceStub(channel),
            store,
            clock,
        )


@pytest.fixture
async def service(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> AsyncIterator[Service]:
    for pair, coherence in ((EUR, 0.6), (GBP, 0.9), (JPY, 0.6)):
        await store_signal(store, clock, pair, coherence)
    async with running(store, clock, shared_valkey.url) as started:
        yield started


async def wait_for_selection(service: Service, *pairs: str) -> dict[str, Any]:
    """Wait for weights of exactly these instruments."""

    async def now() -> dict[str, Any] | None:
        found = await service.weights()
        return found if set(found.get("weights", {"-": 0})) == set(pairs) else None

    return await eventually(now) or {}


async def wait_for_hold(service: Service, reason: str) -> dict[str, Any]:
    """Wait for held weights with this reason."""

    async def now() -> dict[str, Any] | None:
        found = await service.weights()
        matches = found.get("held") is True and found.get("held_reason") == reason
        return found if matches else None

    return await eventually(now) or {}


async def test_a_blob_becomes_weights_with_their_scores(service: Service) -> None:
    await service.publish(open_=[EUR, GBP])
    found = await wait_for_selection(service, EUR, GBP)
    assert found.keys() >= {"ts", "gates_ts", "weights", "scores", "top_k", "held"}
    assert (found["held"], found["top_k"], found["gates_ts"]) == (False, 3, now_ms(service.clock))
    assert set(found["scores"]) == set(PAIRS)
    assert found["weights"] == pytest.approx({EUR: 0.1, GBP: 0.1})  # each at its cap
    assert await service.metric(f'sep_allocator_selected{{instrument="{GBP}"}}') == 1
    assert await service.metric(f'sep_allocator_selected{{instrument="{JPY}"}}') == 0
    assert await service.metric("sep_allocation_held") == 0


async def test_cooling_instruments_are_left_out_and_shown(service: Service) -> None:
    await service.publish(open_=[EUR, GBP], cooling=[GBP])
    await wait_for_selection(service, EUR)
    assert await service.metric(f'sep_allocator_cooldown{{instrument="{GBP}"}}') == 1
    assert await service.metric(f'sep_allocator_cooldown{{instrument="{EUR}"}}') == 0
    assert list((await service.status()).cooldowns) == [GBP]


async def test_a_fresh_blob_without_a_candidate_publishes_empty_weights(service: Service) -> None:
    await service.publish(open_=[EUR])
    await wait_for_selection(service, EUR)
    await service.publish()
    found = await wait_for_selection(service)
    assert (found["held"], found["ts"]) == (False, now_ms(service.clock))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("missing", "BLOB_MISSING"),
        ("malformed", "BLOB_MALFORMED"),
        ("stale", "BLOB_STALE"),
        ("future", "BLOB_FROM_FUTURE"),
    ],
)
async def test_a_blob_that_can_not_be_trusted_holds_the_weights_and_their_age_grows(
    service: Service, bad: str, reason: str
) -> None:
    await service.publish(open_=[EUR])
    before = await wait_for_selection(service, EUR)

    async def weights_age_is_shown() -> bool:
        return not math.isnan(await service.metric("sep_allocation_weights_age_seconds"))

    with capture_logs() as logs:
        match bad:
            case "missing":
                await service.store.delete(keys.GATES_BLOB)
            case "malformed":
                await service.publish(raw='{"ts": 1}')
            case "stale":
                service.clock.advance(181)
            case "future":
                await service.publish(open_=[GBP], ts=now_ms(service.clock) + 60_000)
        found = await wait_for_hold(service, reason)
        assert (found["weights"], found["ts"], found["gates_ts"]) == (
            before["weights"], before["ts"], before["gates_ts"],
        )  # fmt: skip
        ages = []
        for _ in range(3):
            service.clock.advance(1)
            # Wait for another tick, which must not log the reason again. One that has begun writes
            # what it read, so there must be weights at any moment.
            other = "BLOB_STALE" if reason == "BLOB_MISSING" else "BLOB_MISSING"
            marked = json.dumps({**found, "held_reason": other})
            await service.store.set(keys.ALLOCATION_WEIGHTS, marked)
            await wait_for_hold(service, reason)
            # A service whose lease ended with the clock shows none until it has another.
            await eventually(weights_age_is_shown)
            ages.append(
                (
                    await service.metric("sep_allocation_weights_age_seconds"),
                    await service.metric("sep_gates_blob_age_seconds"),
                    (await service.status()).weights_age_seconds,
                )
            )
    assert ages == sorted(ages)
    assert len({a[0] for a in ages}) == len({a[2] for a in ages}) == 3
    assert len({a[1] for a in ages}) == 3
    assert await service.metric("sep_allocation_held") == 1
    status = await service.status()
    assert (status.held, status.held_reason) == (True, reason)
    assert len([x for x in logs if x["event"] == "weights held"]) == 1
    assert len([x for x in logs if x["event"] == "gates blob refused"]) == (bad == "malformed")
    service.clock.advance(10)
    await service.publish(open_=[GBP])
    await wait_for_selection(service, GBP)
    assert not (await service.status()).held


async def test_without_any_weights_before_nothing_is_allocated(service: Service) -> None:
    found = await wait_for_hold(service, "BLOB_MISSING")
    assert (found["weights"], found["ts"], found["gates_ts"]) == ({}, 0, None)
    status = await service.status()
    assert (status.held, status.held_reason, status.total_allocation) == (True, "BLOB_MISSING", 0)
    assert not status.HasField("weights_age_seconds")
    assert not status.HasField("blob_age_seconds")
    assert math.isnan(await service.metric("sep_gates_blob_age_seconds"))


async def test_weights_that_can_not_be_read_are_not_held(service: Service) -> None:
    await service.publish(open_=[EUR])
    await wait_for_selection(service, EUR)
    await service.store.delete(keys.GATES_BLOB)
    await service.store.set(keys.ALLOCATION_WEIGHTS, '{"weights": {"EUR_USD": 7}}')
    found = await wait_for_hold(service, "BLOB_MISSING")
    assert found["weights"] == {}


async def test_a_new_blob_wakes_the_allocator_at_once(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    await store_signal(store, clock, EUR, 0.6)
    async with running(store, clock, shared_valkey.url, ALLOC_INTERVAL_SEC="60") as service:
        await wait_for_hold(service, "BLOB_MISSING")
        for pairs in ([EUR], [], [EUR], []):
            await service.publish(open_=pairs)

            async def follows(pairs: list[str] = pairs) -> bool:
                return set((await service.weights())["weights"]) == set(pairs)

            await eventually(follows, within_s=60)


async def test_a_blob_published_while_valkey_was_away_is_allocated_afterwards(
    valkey: ValkeyServer, clock: FakeClock
) -> None:
    async with open_valkey(valkey.url) as own:
        await store_signal(own, clock, EUR, 0.6)
        async with running(own, clock, valkey.url, ALLOC_INTERVAL_SEC="60") as service:
            await wait_for_hold(service, "BLOB_MISSING")
            await asyncio.to_thread(valkey.kill)
            await asyncio.to_thread(valkey.start)
            await eventually(own.ping)
            await publish(own, clock, [EUR])
            await wait_for_selection(service, EUR)


async def test_the_ranking_is_by_score_with_the_reasons_of_closed_gates(
    service: Service,
) -> None:
    await service.store.delete(keys.signal_index(JPY))
    await service.publish(open_=[EUR])
    await wait_for_selection(service, EUR)
    ranking = await service.ranking()
    assert [r.instrument for r in ranking] == [GBP, EUR, JPY]
    first, second, last = ranking
    assert first.score == pytest.approx(0.6 * 0.9 + 0.2 * 0.5 + 0.15 * 0.8 + 0.05 * 0.5)
    assert (first.selected, first.eligible, first.weight) == (False, False, 0)
    assert list(first.gate_reasons) == ["CALMAR_LOW"]
    assert (second.selected, second.eligible, second.weight) == (True, True, pytest.approx(0.1))
    assert list(second.gate_reasons) == []
    assert second.metrics.coherence == 0.6
    assert getattr(second.coeffs, "lambda") == 0.05
    assert second.slope_bps == 2.5
    assert second.session.open
    assert not last.HasField("score")
    assert not last.HasField("metrics")


async def test_a_closed_market_ranks_last_and_gets_nothing(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    clock.set("2026-03-04T03:00:00Z")  # Tokyo's morning: no London, no New York
    for pair in PAIRS:
        await store_signal(store, clock, pair, 0.9 if pair == EUR else 0.6)
    async with running(store, clock, shared_valkey.url, MARKET_CALENDAR="fx") as service:
        await service.publish(open_=PAIRS)
        await wait_for_selection(service, JPY)
        assert [(r.instrument, r.session.open) for r in await service.ranking()] == [
            (JPY, True), (EUR, False), (GBP, False),
        ]  # fmt: skip


async def test_over_the_weekend_weights_stay_their_age_grows_and_nothing_is_logged(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    clock.set("2026-03-06T21:50:00Z")  # Friday, eight minutes before the week ends
    for pair in PAIRS:
        await store_signal(store, clock, pair, 0.6)
    async with running(store, clock, shared_valkey.url, MARKET_CALENDAR="fx") as service:
        await service.publish(open_=[EUR, JPY])
        friday = await wait_for_selection(service, EUR, JPY)
        with capture_logs() as logs:
            for hours in (1, 23, 12):
                clock.advance(hours * 3600)
                # The evaluator keeps publishing, with every gate closed.
                await service.publish()
                age = (now_ms(clock) - friday["ts"]) / 1000

                async def allocated() -> bool:
                    # The blob is as new as the clock: a tick has read it. The ages alone would
                    # not show that, and the advanced clock has let the lease expire.
                    return await service.metric("sep_gates_blob_age_seconds") == 0

                await eventually(allocated)
                assert await service.metric("sep_allocation_weights_age_seconds") == age
                assert await service.weights() == friday
                status = await service.status()
                assert (status.held, status.weights_age_seconds) == (False, age)
                assert await service.metric("sep_allocation_held") == 0
                assert await service.metric(f'sep_allocator_selected{{instrument="{EUR}"}}') == 1
        # A tick that runs while the clock is advanced has lost the lease when it writes.
        troubles = [x for x in logs if x["log_level"] in ("warning", "error")]
        assert [x for x in troubles if "NotTheWriterError" not in x.get("error", "")] == []
        clock.set("2026-03-09T08:30:00Z")  # Monday morning in London
        await service.publish(open_=[GBP])
        await wait_for_selection(service, GBP)


async def test_the_total_allocation_is_the_sum_and_at_most_the_target(service: Service) -> None:
    await service.publish(open_=PAIRS)
    await wait_for_selection(service, *PAIRS)
    service.clock.advance(5)
    status = await service.status()
    assert dict(status.weights).keys() == set(PAIRS)
    assert status.total_allocation == pytest.approx(sum(status.weights.values()))
    assert status.total_allocation <= 0.30
    assert status.top_k == 3
    assert status.blob_age_seconds >= 5


async def test_of_two_replicas_one_writes_and_the_other_takes_over(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    await store_signal(store, clock, EUR, 0.6)
    other = Lease(store, "allocator", "other", clock)
    await other.renew()
    async with running(store, clock, shared_valkey.url) as service:
        await service.publish(open_=[EUR])
        status = await service.status()
        assert (status.held, status.held_reason) == (True, "NO_WEIGHTS")
        assert not await service.weights()
        assert math.isnan(await service.metric("sep_allocator_selected{"))
        assert math.isnan(await service.metric("sep_gates_blob_age_seconds"))
        # The other replica does not renew its lease, which expires after ten seconds.
        loop = asyncio.get_running_loop()
        began = loop.time()
        await eventually(lambda: store.get(keys.ALLOCATION_WEIGHTS), within_s=60)
        assert loop.time() - began < 25
        await wait_for_selection(service, EUR)


async def test_a_replica_that_lost_its_lease_writes_nothing(
    store: Valkey, clock: FakeClock, service: Service
) -> None:
    await service.publish(open_=[EUR])
    await wait_for_selection(service, EUR)
    await store.delete(keys.lease("allocator"))
    await Lease(store, "allocator", "other", clock).renew()
    await service.publish(open_=[GBP])

    async def metrics_dropped() -> bool:
        return math.isnan(await service.metric("sep_allocator_selected{"))

    await eventually(metrics_dropped)
    assert set((await service.weights())["weights"]) == {EUR}


async def test_without_valkey_every_method_returns_store_unavailable_until_it_is_back(
    valkey: ValkeyServer, clock: FakeClock
) -> None:
    async with open_valkey(valkey.url) as own:
        await store_signal(own, clock, EUR, 0.6)
        async with running(own, clock, valkey.url) as service:
            await service.publish(open_=[EUR])
            await wait_for_selection(service, EUR)
            age = await service.metric("sep_gates_blob_age_seconds")
            await asyncio.to_thread(valkey.kill)
            for method in (service.status, service.ranking):
                with pytest.raises(SepError) as failure:
                    await method()
                assert failure.value.reason == "STORE_UNAVAILABLE"
            clock.advance(7)
            # Exported ages grow while nothing can be read.
            assert await service.metric("sep_gates_blob_age_seconds") == age + 7
            await asyncio.to_thread(valkey.start)
            await eventually(lambda: publishes(service))
            found = await wait_for_selection(service, EUR)
            await eventually(lambda: ts_advances(service, found["ts"]))


async def publishes(service: Service) -> bool:
    await service.publish(open_=[EUR])
    return True


async def ts_advances(service: Service, ts: int) -> bool:
    service.clock.advance(0.5)
    await service.publish(open_=[EUR])
    return bool((await service.weights())["ts"] > ts)
