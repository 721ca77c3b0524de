import asyncio
from typing import Any

import pytest
from sep_kit.errors import StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import KillSwitchChange
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

RELEASED = KillSwitchChange(ts=1, engaged=False, reason="opening", actor="ann")
ENGAGED = KillSwitchChange(ts=2, engaged=True, reason="closing", actor="bob")


async def test_while_the_store_is_down_it_is_engaged_and_can_not_be_changed(
    valkey: ValkeyServer,
) -> None:
    async with open_valkey(valkey.url) as client:
        switch = KillSwitch(client)
        await switch.set(RELEASED)
        valkey.kill()
        state = await switch.read()
        assert (state.engaged, state.reason) == (True, "the store can't be read")
        with pytest.raises(StoreUnavailableError):
            await switch.set(RELEASED)
        with pytest.raises(StoreUnavailableError):
            await switch.seed(RELEASED, force=False)


@pytest.mark.parametrize("moment", ["before the call", "between its two commands"])
async def test_a_release_that_failed_is_not_applied_when_the_store_resumes(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Its caller has got an error, and may have engaged the switch since."""
    async with open_valkey(valkey.url) as client, open_valkey(valkey.url) as other:
        switch = KillSwitch(client)
        await switch.set(RELEASED)
        await switch.set(ENGAGED)
        if moment == "before the call":
            valkey.freeze()
        else:
            read_time = client.time

            async def then_freeze() -> Any:
                result = await read_time()
                valkey.freeze()
                return result

            monkeypatch.setattr(client, "time", then_freeze)
        with pytest.raises(StoreUnavailableError):
            await switch.set(RELEASED)
        valkey.thaw()
        await eventually(other.ping)
        state = await KillSwitch(other).read()
        assert (state.engaged, state.change) == (True, ENGAGED)


async def test_it_survives_a_restart_of_the_store(valkey: ValkeyServer) -> None:
    async with open_valkey(valkey.url) as client:
        await KillSwitch(client).set(RELEASED)
        valkey.kill()
        valkey.start()
        state = await KillSwitch(client).read()
        assert (state.engaged, state.change) == (False, RELEASED)


async def test_a_value_of_another_type_counts_as_engaged(store: Valkey) -> None:
    await store.hset(keys.KILL_SWITCH, "a", "0")
    assert (await KillSwitch(store).read()).engaged


async def test_a_change_outside_the_api_counts_and_is_reported_as_such(store: Valkey) -> None:
    switch = KillSwitch(store)
    await switch.set(RELEASED)
    await store.set(keys.KILL_SWITCH, "1")
    state = await switch.read()
    assert (state.engaged, state.reason, state.change) == (True, "set outside the API", None)


@pytest.mark.parametrize("entry", [{"note": "by hand"}, {"change": "{"}, {"change": '{"ts": 1}'}])
async def test_a_malformed_audit_entry_does_not_hide_the_state(
    store: Valkey, entry: dict[str, str]
) -> None:
    switch = KillSwitch(store)
    await switch.set(RELEASED)
    await store.xadd(keys.KILL_SWITCH_AUDIT, entry)  # type: ignore[arg-type]
    state = await switch.read()
    assert (state.engaged, state.reason) == (False, "set outside the API")


async def test_every_change_is_recorded_in_order(store: Valkey) -> None:
    switch = KillSwitch(store)
    for change in (RELEASED, ENGAGED, RELEASED):
        await switch.set(change)
    entries = await reply(store.xrange(keys.KILL_SWITCH_AUDIT))
    recorded = [KillSwitchChange.model_validate_json(fields[b"change"]) for _, fields in entries]
    assert recorded == [RELEASED, ENGAGED, RELEASED]


async def test_concurrent_seeding_records_one_change(store: Valkey) -> None:
    await asyncio.gather(*(KillSwitch(store).seed(ENGAGED, force=False) for _ in range(8)))
    assert await store.xlen(keys.KILL_SWITCH_AUDIT) == 1
    assert (await KillSwitch(store).read()).change == ENGAGED


async def test_a_change_during_seeding_is_not_overwritten(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    async with open_valkey(shared_valkey.url) as seeding:
        exists = seeding.exists

        async def check_then_change(*names: str) -> int:
            found: int = await reply(exists(*names))
            await KillSwitch(store).set(ENGAGED)
            return found

        seeding.exists = check_then_change  # type: ignore[assignment,method-assign]
        await KillSwitch(seeding).seed(RELEASED, force=False)
        assert (await KillSwitch(store).read()).change == ENGAGED
