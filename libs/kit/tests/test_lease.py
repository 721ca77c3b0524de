import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sep_kit.errors import NotTheWriterError, StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_kit.store.lease import RENEW_SECONDS, Lease
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

TAKE_OVER_S = 15


@pytest.fixture
def replicas(store: Valkey, clock: FakeClock) -> tuple[Lease, Lease]:
    """Two replicas of one service; the first holds the lease once it renews."""
    return Lease(store, "guard", "old", clock), Lease(store, "guard", "new", clock)


async def test_a_dead_holder_is_replaced_within_15_s(
    store: Valkey, replicas: tuple[Lease, Lease], clock: FakeClock
) -> None:
    old, new = replicas
    await old.renew()
    # Time until the lease expires in the store, plus the renewal interval of the other replica.
    left_ms = await reply(store.pttl(keys.lease("guard")))
    assert 0 < left_ms / 1000 + RENEW_SECONDS <= TAKE_OVER_S
    await store.pexpire(keys.lease("guard"), 50)

    async def taken_over() -> bool:
        await new.renew()
        return new.held

    await eventually(taken_over)
    assert new.token > 0
    # By its own clock the old holder knows without asking, no later than the store.
    clock.advance(left_ms / 1000 + 0.1)
    assert not old.held
    assert old.token == 0


async def test_the_holder_considers_it_expired_no_later_than_the_store(
    store: Valkey, replicas: tuple[Lease, Lease], clock: FakeClock
) -> None:
    """It counts from before the request, so that a slow reply does not delay it."""
    old, _ = replicas
    await old.renew()
    clock.advance(9.999)
    assert old.held
    clock.advance(0.001)
    assert not old.held
    assert await reply(store.pttl(keys.lease("guard"))) > 0


async def test_renewing_keeps_lease_and_token(
    store: Valkey, replicas: tuple[Lease, Lease], clock: FakeClock
) -> None:
    old, new = replicas
    await old.renew()
    token = old.token
    for _ in range(10):
        clock.advance(RENEW_SECONDS)
        await old.renew()
        await new.renew()
    assert (old.held, old.token, new.held) == (True, token, False)


async def test_a_former_holder_waits_and_gets_a_greater_token(
    store: Valkey, replicas: tuple[Lease, Lease]
) -> None:
    old, new = replicas
    await old.renew()
    first = old.token
    await old.release()
    await new.renew()
    await old.renew()
    assert not old.held
    await new.release()
    await old.renew()
    assert old.token > first + 1


async def test_releasing_does_not_affect_another_holder(
    replicas: tuple[Lease, Lease],
) -> None:
    old, new = replicas
    await old.renew()
    await new.release()
    await old.renew()
    assert old.held
    await old.write(lambda pipe: pipe.set("x", "1"))


async def test_of_many_concurrent_replicas_one_acquires_it(store: Valkey, clock: FakeClock) -> None:
    leases = [Lease(store, "guard", f"replica-{n}", clock) for n in range(20)]
    await asyncio.gather(*(lease.renew() for lease in leases))
    assert sum(lease.held for lease in leases) == 1


async def test_leases_of_two_services_are_separate(store: Valkey, clock: FakeClock) -> None:
    guard, allocator = Lease(store, "guard", "a", clock), Lease(store, "allocator", "b", clock)
    await guard.renew()
    await allocator.renew()
    assert guard.held
    assert allocator.held


async def test_a_replica_that_never_held_it_writes_nothing(
    store: Valkey, replicas: tuple[Lease, Lease]
) -> None:
    with pytest.raises(NotTheWriterError, match="does not hold the guard lease"):
        await replicas[1].write(lambda pipe: pipe.set("x", "1"))
    assert await store.get("x") is None


async def test_a_write_goes_through_while_the_lease_is_renewed(
    store: Valkey, replicas: tuple[Lease, Lease]
) -> None:
    old, _ = replicas
    await old.renew()

    async def renew_often() -> None:
        for _ in range(5):
            await old.renew()
            await asyncio.sleep(0.005)

    async def write_often() -> None:
        for n in range(30):
            await old.write(lambda pipe, n=n: pipe.set("x", n))  # type: ignore[misc]

    await asyncio.gather(renew_often(), write_often())
    assert await store.get("x") == b"29"


async def test_without_the_store_the_lease_expires_by_itself(
    valkey: ValkeyServer, clock: FakeClock
) -> None:
    async with open_valkey(valkey.url) as client:
        lease = Lease(client, "guard", "a", clock)
        await lease.renew()
        valkey.kill()
        with pytest.raises(StoreUnavailableError):
            await lease.renew()
        assert lease.held
        clock.advance(10)
        assert not lease.held
        with pytest.raises((NotTheWriterError, StoreUnavailableError)):
            await lease.write(lambda pipe: pipe.set("x", "1"))


async def test_tokens_keep_growing_after_a_restart_of_the_store(
    valkey: ValkeyServer, clock: FakeClock
) -> None:
    async with open_valkey(valkey.url) as client:
        before = Lease(client, "guard", "a", clock)
        await before.renew()
        token = before.token
        await before.release()
        valkey.kill()
        valkey.start()
        after = Lease(client, "guard", "b", clock)
        await after.renew()
        assert after.token > token


async def test_a_holder_that_does_not_work_yields_to_a_replica_that_waits(
    store: Valkey, replicas: tuple[Lease, Lease]
) -> None:
    old, new = replicas
    await old.renew()
    first = old.token
    await new.renew()
    old.works = lambda: False
    await old.renew()
    assert not old.held
    assert old.last_token == 0
    # There is no moment without a holder: the lease is already the other's.
    assert await store.hget(keys.lease("guard"), "holder") == b"new"
    await new.renew()
    assert new.token > first
    with pytest.raises(NotTheWriterError):
        await old.write(lambda pipe: pipe.set("x", "1"))
    await new.write(lambda pipe: pipe.set("x", "2"))


async def test_a_holder_that_does_not_work_stays_while_none_waits(
    store: Valkey, replicas: tuple[Lease, Lease]
) -> None:
    old, new = replicas
    old.works = lambda: False
    await old.renew()
    await old.renew()
    assert old.held
    # One that could not do the work either does not wait.
    new.works = lambda: False
    await new.renew()
    await old.renew()
    assert old.held
    # Nor does one that waited and is gone.
    new.works = lambda: True
    await new.renew()
    await store.hset(keys.lease("guard"), "waiting_until", "1")
    await old.renew()
    assert old.held


async def test_without_the_store_the_last_token_still_identifies_the_writer(
    valkey: ValkeyServer, clock: FakeClock
) -> None:
    """It allows reductions; entries need a lease that is held."""
    async with open_valkey(valkey.url) as client:
        lease = Lease(client, "guard", "a", clock)
        await lease.renew()
        token = lease.token
        valkey.kill()
        with pytest.raises(StoreUnavailableError):
            await lease.renew()
        clock.advance(60)
        assert (lease.held, lease.token, lease.last_token) == (False, 0, token)


async def lose_counter(store: Valkey) -> None:
    await store.delete(keys.lease_counter("guard"))


def counter_as(value: str) -> Callable[[Valkey], Awaitable[None]]:
    async def written_by_hand(store: Valkey) -> None:
        await store.set(keys.lease_counter("guard"), value)

    return written_by_hand


async def counter_as_list(store: Valkey) -> None:
    await store.delete(keys.lease_counter("guard"))
    await reply(store.lpush(keys.lease_counter("guard"), "x"))


async def greater_counter(store: Valkey) -> None:
    await reply(store.incrby(keys.lease_counter("guard"), 1000))


async def lease_as_text(store: Valkey) -> None:
    await store.set(keys.lease("guard"), "x")


async def token_as_text(store: Valkey) -> None:
    await reply(store.hset(keys.lease("guard"), "token", "x"))


async def no_token(store: Valkey) -> None:
    await reply(store.hdel(keys.lease("guard"), "token"))


async def no_end(store: Valkey) -> None:
    await store.persist(keys.lease("guard"))


@pytest.mark.parametrize(
    "damage",
    [
        lose_counter, counter_as_list, greater_counter,
        *map(counter_as, ("1", "many", "NaN", "inf", "-inf", "-1", "1e400", "9" * 40, "")),
        lease_as_text, token_as_text, no_token, no_end,
    ],
)  # fmt: skip
async def test_a_damaged_lease_heals_and_tokens_never_repeat(
    store: Valkey, replicas: tuple[Lease, Lease], damage: Callable[[Valkey], Awaitable[None]]
) -> None:
    old, _ = replicas
    await old.renew()
    token = old.token
    await damage(store)
    await old.renew()
    assert old.held
    assert old.token >= token
    await old.write(lambda pipe: pipe.set("x", "1"))
    assert 0 < await reply(store.pttl(keys.lease("guard"))) <= 10_000


async def test_a_lease_without_an_end_and_without_a_holder_ends(
    store: Valkey, replicas: tuple[Lease, Lease]
) -> None:
    await reply(store.hset(keys.lease("guard"), mapping={"holder": "gone", "token": "1"}))
    await replicas[1].renew()
    assert 0 < await reply(store.pttl(keys.lease("guard"))) <= 10_000


async def test_an_acquisition_sent_twice_meets_its_own_claim(
    store: Valkey, replicas: tuple[Lease, Lease]
) -> None:
    """A client library repeats a command whose answer was lost."""
    old, _ = replicas
    await old.renew()
    token = old.token
    await old.renew()
    assert old.token == token
