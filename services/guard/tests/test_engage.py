"""An engage over the API holds at guard and gateway, whatever the store does."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep.guard.v1 import guard_pb2 as pb
from sep.guard.v1 import guard_pb2_grpc
from sep_guard.app import build
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey, reply
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import KillSwitchChange
from sep_testing.calls import call
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from .harness import settings_of
from .test_broker_contract import TOKEN, serve_gateway, serve_paper

RELEASED = KillSwitchChange(ts=1, engaged=False, reason="opening", actor="ann")


@dataclass
class Stack:
    """A gateway and a guard over a Valkey of their own."""

    folder: Path
    valkey: ValkeyServer
    gateway_address: str
    gateway: Any

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[Any]:
        settings = settings_of(
            self.valkey.url,
            GATEWAY_ADDR=self.gateway_address,
            HOTBAND_PAIRS="EUR_USD,USD_JPY",
            PM_RECONCILE_SEC="3600",
            KILL_SWITCH_DIR=str(self.folder),
        )
        async with (
            running_service("guard", settings, build) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            yield guard_pb2_grpc.GuardServiceStub(channel)

    async def entry(self, name: str) -> str:
        """What an entry at the gateway ends in."""
        request = gateway_pb2.PlaceMarketOrderRequest(
            client_order_id=name, instrument="EUR_USD", units="10"
        )
        try:
            response = await call(self.gateway.PlaceMarketOrder, request, peer="gateway")
        except SepError as error:
            return error.reason
        return str(gateway_pb2.OrderState.Name(response.result.state))

    async def released(self) -> None:
        async with open_valkey(self.valkey.url) as store:
            await KillSwitch(store).set(RELEASED)

    async def stored(self) -> bytes | None:
        """The stored kill switch."""
        async with open_valkey(self.valkey.url) as store:
            found: bytes | None = await reply(store.get(keys.KILL_SWITCH))
            return found


@pytest.fixture
async def stack(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Stack]:
    folder = tmp_path / "halt"
    async with AsyncExitStack() as resources:
        paper = await resources.enter_async_context(serve_paper(TOKEN))
        address = await resources.enter_async_context(
            serve_gateway(valkey, paper, KILL_SWITCH_DIR=str(folder))
        )
        channel = await resources.enter_async_context(grpc.aio.insecure_channel(address))
        made = Stack(folder, valkey, address, gateway_pb2_grpc.GatewayServiceStub(channel))
        await made.released()

        async def trades() -> bool:
            return await made.entry(f"warm-{time.time_ns()}") == "ORDER_STATE_FILLED"

        await eventually(trades)
        yield made


async def engage(guard: Any, *, engaged: bool = True) -> pb.SetKillSwitchResponse:
    request = pb.SetKillSwitchRequest(kill_switch=engaged, reason="a test", actor="ann")
    response: pb.SetKillSwitchResponse = await call(
        guard.SetKillSwitch, request, peer="guard", deadline_s=30
    )
    return response


async def quickest_pending_engage(guard: Any) -> float:
    """Seconds of the quickest of three engages that the store can't take.

    A machine that stalls spoils one of them; an engage that waits for the store takes seconds each
    time.
    """
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        response = await engage(guard)
        seconds.append(time.monotonic() - began)
        assert (response.kill_switch, response.durable) == (True, False)
    return min(seconds)


async def state(guard: Any) -> bool:
    found = await call(guard.GetKillSwitch, pb.GetKillSwitchRequest(), peer="guard")
    return bool(found.kill_switch)


async def test_an_engage_is_on_disk_when_it_is_answered(stack: Stack) -> None:
    async with stack.guard() as guard:
        assert (await engage(guard)).durable
        stack.valkey.kill()
        stack.valkey.start()
        assert await stack.stored() == b"1"
        assert await state(guard)


async def test_an_engage_while_the_store_restarts_holds_one_second_later(stack: Stack) -> None:
    """The store comes back released, before anything was written to it."""
    async with stack.guard() as guard:
        await eventually(lambda: is_released(guard))
        stack.valkey.kill()
        assert await quickest_pending_engage(guard) < 2
        stack.valkey.start()
        assert await state(guard)
        assert await stack.entry("after-the-restart") == "KILL_SWITCH"
        await eventually(lambda: is_stored(stack, b"1"))
        assert await stack.entry("after-the-write") == "KILL_SWITCH"
        await eventually(lambda: none_left(stack))
        # A release takes all of it away again.
        await engage(guard, engaged=False)
        assert not await state(guard)

        async def trades() -> bool:
            return await stack.entry(f"again-{time.time_ns()}") == "ORDER_STATE_FILLED"

        await eventually(trades)


async def test_an_engage_while_the_store_hangs_is_answered_at_once_and_written_when_it_can_be(
    stack: Stack,
) -> None:
    async with stack.guard() as guard:
        await eventually(lambda: is_released(guard))
        stack.valkey.freeze()
        # Half a second for the store, and no more than 0.3 s for the gateway.
        assert await quickest_pending_engage(guard) < 1.5
        assert {f.name for f in stack.folder.iterdir()} == {
            "kill_switch.guard.json", "kill_switch.gateway.json",
        }  # fmt: skip
        assert await state(guard)
        stack.valkey.thaw()
        assert await stack.entry("after-the-hang") == "KILL_SWITCH"
        await eventually(lambda: is_stored(stack, b"1"))
        await eventually(lambda: none_left(stack))
        # Once it is written, one more is durable.
        assert (await engage(guard)).durable


async def test_a_pending_engage_survives_a_restart_of_guard_and_store(stack: Stack) -> None:
    async with stack.guard() as guard:
        await eventually(lambda: is_released(guard))
        stack.valkey.kill()
        assert not (await engage(guard)).durable
    async with stack.guard() as guard:
        assert await state(guard)
        stack.valkey.start()
        assert await state(guard)
        await eventually(lambda: is_stored(stack, b"1"))


async def test_a_release_without_the_store_is_refused_and_releases_nothing(stack: Stack) -> None:
    async with stack.guard() as guard:
        await engage(guard)
        stack.valkey.kill()
        with pytest.raises(SepError) as refusal:
            await engage(guard, engaged=False)
        assert refusal.value.reason == "STORE_UNAVAILABLE"
        stack.valkey.start()
        assert await stack.stored() == b"1"


async def is_released(guard: Any) -> bool:
    return not await state(guard)


async def is_stored(stack: Stack, value: bytes) -> bool:
    return await stack.stored() == value


async def none_left(stack: Stack) -> bool:
    return not list(stack.folder.glob("*.json"))
