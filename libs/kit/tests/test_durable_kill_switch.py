"""An engage holds whatever the store does, and a release that fails releases nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sep_kit.errors import PeerUnavailableError, StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_kit.store.durable_kill_switch import DurableKillSwitch
from sep_kit.store.halt_file import HaltFile
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import KillSwitchChange
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

RELEASED = KillSwitchChange(ts=1_000, engaged=False, reason="opening", actor="ann")
ENGAGED = KillSwitchChange(ts=20_000, engaged=True, reason="closing", actor="bob")
LATER = KillSwitchChange(ts=40_000, engaged=False, reason="again", actor="ann")


@pytest.fixture
async def own(valkey: ValkeyServer) -> AsyncIterator[Valkey]:
    """A client of a Valkey that a test may kill."""
    async with open_valkey(valkey.url) as client:
        yield client


def switch_of(
    client: Valkey, folder: Path, clock: FakeClock, service: str = "guard"
) -> DurableKillSwitch:
    return DurableKillSwitch(KillSwitch(client), HaltFile(folder / "halt", service), clock)


def files(folder: Path) -> list[str]:
    return [path.name for path in (folder / "halt").glob("*")]


async def changes(client: Valkey) -> list[KillSwitchChange]:
    entries = await reply(client.xrange(keys.KILL_SWITCH_AUDIT))
    return [KillSwitchChange.model_validate_json(fields[b"change"]) for _, fields in entries]


async def written(switch: DurableKillSwitch) -> bool:
    """Tick once; whether nothing is pending any more."""
    try:
        await switch.tick()
    except StoreUnavailableError:
        return False
    return switch.pending is None


async def test_an_acknowledged_engage_survives_kill_9_of_the_store(
    own: Valkey, valkey: ValkeyServer, tmp_path: Path, clock: FakeClock
) -> None:
    switch = switch_of(own, tmp_path, clock)
    await switch.set(RELEASED)
    assert await switch.set(ENGAGED)
    valkey.kill()
    valkey.start()
    assert (await KillSwitch(own).read()).change == ENGAGED
    assert not files(tmp_path)


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_an_engage_without_the_store_holds_at_once_and_over_restarts(
    own: Valkey, valkey: ValkeyServer, tmp_path: Path, clock: FakeClock, how: str
) -> None:
    switch = switch_of(own, tmp_path, clock)
    await switch.set(RELEASED)
    valkey.kill() if how == "killed" else valkey.freeze()

    async def held_at_once() -> bool:
        # A machine that stalls may make one of them late; one that waits for the store always is.
        began = time.monotonic()
        assert not await switch.set(ENGAGED)
        return time.monotonic() - began < 2

    await eventually(held_at_once, within_s=5)
    assert (await switch.read()).change == ENGAGED
    if how == "killed":
        valkey.start()
        assert await KillSwitch(own).engaged() is False
    else:
        valkey.thaw()
    # The process has been restarted, and its store still says released.
    restarted = switch_of(own, tmp_path, clock)
    assert await restarted.engaged()
    await eventually(lambda: written(restarted))
    assert (await KillSwitch(own).read()).change == ENGAGED
    assert await changes(own) == [RELEASED, ENGAGED]
    assert not files(tmp_path)
    # And nothing is left of it when it is released.
    assert await restarted.set(LATER)
    assert not await switch_of(own, tmp_path, clock).engaged()


async def test_an_engage_that_is_not_on_disk_is_pending(tmp_path: Path, clock: FakeClock) -> None:
    """A store without a file takes it, and would lose it."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    server = ValkeyServer(folder)
    server.start()
    try:
        async with open_valkey(server.url) as client:
            await reply(client.config_set("appendonly", "no"))
            switch = switch_of(client, tmp_path, clock)
            assert not await switch.set(ENGAGED)
            await switch.tick()
            assert switch.pending == ENGAGED
            assert await changes(client) == [ENGAGED]
            await switch.set(LATER)
            assert not await switch.engaged()
    finally:
        server.kill()


async def test_a_pending_engage_gives_way_to_a_later_release(
    own: Valkey, valkey: ValkeyServer, tmp_path: Path, clock: FakeClock
) -> None:
    gateway = switch_of(own, tmp_path, clock, "gateway")
    await gateway.hold(ENGAGED)
    guard = switch_of(own, tmp_path, clock)
    await guard.set(LATER)
    assert await gateway.engaged()
    await eventually(lambda: written(gateway))
    assert not await gateway.engaged()
    assert await changes(own) == [LATER]
    assert not files(tmp_path)


async def test_two_services_that_hold_the_same_engage_record_it_once(
    own: Valkey, tmp_path: Path, clock: FakeClock
) -> None:
    switches = [switch_of(own, tmp_path, clock, name) for name in ("guard", "gateway")]
    await asyncio.gather(*(switch.hold(ENGAGED) for switch in switches))
    await asyncio.gather(*(switch.tick() for switch in switches))
    assert await changes(own) == [ENGAGED]
    assert [switch.pending for switch in switches] == [None, None]


async def test_the_other_service_is_received_until_it_hears(
    own: Valkey, valkey: ValkeyServer, tmp_path: Path, clock: FakeClock
) -> None:
    received: list[KillSwitchChange] = []
    reachable = False

    async def engage_elsewhere(change: KillSwitchChange) -> None:
        if not reachable:
            raise PeerUnavailableError("gateway does not answer")
        received.append(change)

    valkey.kill()
    switch = DurableKillSwitch(KillSwitch(own), None, clock, engage_elsewhere)
    assert not await switch.set(ENGAGED)
    reachable = True
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            await switch.tick()
    assert received == [ENGAGED]


async def test_a_release_without_the_store_fails_and_changes_nothing(
    own: Valkey, valkey: ValkeyServer, tmp_path: Path, clock: FakeClock
) -> None:
    switch = switch_of(own, tmp_path, clock)
    await switch.set(ENGAGED)
    valkey.kill()
    with pytest.raises(StoreUnavailableError):
        await switch.set(LATER)
    assert switch.pending is None
    valkey.start()
    assert (await switch.read()).change == ENGAGED


async def test_a_release_whose_answer_was_lost_is_undone(
    own: Valkey, valkey: ValkeyServer, tmp_path: Path, clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Its caller gets an error, so entries must not begin."""
    stored = KillSwitch(own)
    await stored.set(ENGAGED)
    take = stored.set

    async def take_and_lose_the_answer(change: KillSwitchChange) -> bool:
        await take(change)
        raise StoreUnavailableError("the connection broke")

    switch = DurableKillSwitch(stored, HaltFile(tmp_path / "halt", "guard"), clock)
    monkeypatch.setattr(stored, "set", take_and_lose_the_answer)
    with pytest.raises(StoreUnavailableError):
        await switch.set(LATER)
    assert await switch.engaged()
    restarted = switch_of(own, tmp_path, clock)
    assert await restarted.engaged()
    await restarted.tick()
    state = await KillSwitch(own).read()
    assert state.engaged
    assert "a release failed and was undone" in state.reason


async def test_a_damaged_file_counts_as_engaged_until_a_release(
    own: Valkey, tmp_path: Path, clock: FakeClock
) -> None:
    await KillSwitch(own).set(RELEASED)
    (tmp_path / "halt").mkdir()
    (tmp_path / "halt" / "kill_switch.guard.json").write_text("{")
    switch = switch_of(own, tmp_path, clock)
    assert await switch.engaged()
    await switch.tick()
    assert (await KillSwitch(own).read()).reason == "kill_switch.guard.json can't be read"


async def test_a_folder_that_can_not_be_written_does_not_stop_an_engage(
    own: Valkey, valkey: ValkeyServer, tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "file").write_text("")
    switch = switch_of(own, tmp_path / "file", clock)
    valkey.kill()
    assert not await switch.set(ENGAGED)
    assert await switch.engaged()


async def test_the_file_is_readable_by_its_owner_alone(
    own: Valkey, tmp_path: Path, clock: FakeClock
) -> None:
    await switch_of(own, tmp_path, clock).hold(ENGAGED)
    folder = tmp_path / "halt"
    file = folder / "kill_switch.guard.json"
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_a_release_is_written_with_its_audit_entry_or_not_at_all(store: Valkey) -> None:
    """A damaged audit log is set aside, and nothing is released without a record."""
    switch = KillSwitch(store)
    await switch.set(ENGAGED)
    await store.set(keys.KILL_SWITCH_AUDIT, "x")
    assert await KillSwitch(store).read()
    await switch.set(LATER)
    assert await changes(store) == [LATER]
    assert await store.get(keys.damaged(keys.KILL_SWITCH_AUDIT)) == b"x"


async def test_a_damaged_audit_log_does_not_hide_the_state(store: Valkey) -> None:
    await KillSwitch(store).set(LATER)
    await store.delete(keys.KILL_SWITCH_AUDIT)
    await store.set(keys.KILL_SWITCH_AUDIT, "x")
    state = await KillSwitch(store).read()
    assert (state.engaged, state.reason) == (False, "set outside the API")


async def test_a_release_that_the_store_can_not_record_releases_nothing(store: Valkey) -> None:
    switch = KillSwitch(store)
    await switch.set(ENGAGED)
    await reply(store.config_set("maxmemory", "1"))
    try:
        with pytest.raises(StoreUnavailableError):
            await switch.set(LATER)
        assert (await switch.read()).change == ENGAGED
    finally:
        await reply(store.config_set("maxmemory", "0"))


async def test_a_forced_start_engages_and_never_releases(store: Valkey) -> None:
    switch = KillSwitch(store)
    await switch.set(ENGAGED)
    await switch.seed(LATER, force=True)
    assert (await switch.read()).change == ENGAGED
    await switch.set(LATER)
    await switch.seed(ENGAGED, force=True)
    assert (await switch.read()).change == ENGAGED
