"""Every error that a method documents comes, over REST and over gRPC, and no other does.

The stack is brought into one situation after the other, and every method of the contract is called
in each. The rows come from the contract: an error that no situation brings about fails its row, and
so does one that a method gives without a word in the contract.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from sep_kit.store import keys
from sep_kit.store.connection import reply, open_valkey
from sep_stack.contract import Method
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from tests.surface.rows import CLOSE, METHODS, OK, TRADE, Json, Outcome, Row, own_rows
from tests.surface.world import SERVICES, World, running_world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

Came = dict[str, tuple[Outcome, Outcome | None]]
"""By method: what it came to over gRPC, and over REST where there is a route."""
Seen = dict[str, Came]
"""The same by situation."""

NOWHERE: Json = {"instrument": "XXX_YYY"}
UNKNOWN_INSTRUMENT: dict[str, Json] = {
    "GetManifoldCoeffs": NOWHERE,
    "GetCoherenceStatus": NOWHERE,
    "StreamManifolds": NOWHERE,
    "ListCandles": NOWHERE,
    "FetchCandles": {"instruments": ["XXX_YYY"]},
    "GetPricing": {"instruments": ["XXX_YYY"]},
    "CheckEntry": NOWHERE,
    "PlaceMarketOrder": {**NOWHERE, "units": "1", "client_order_id": "surface-2"},
    "ClosePosition": {**CLOSE, **NOWHERE},
}
FOREIGN: dict[str, Json] = {"ListCandles": {"instrument": "GBP_USD"}}


def order(units: str, *, reduce_only: bool = False) -> dict[str, Json]:
    """An order under an id of its own; under an engaged kill switch only the way out is open."""
    told = {
        "instrument": "EUR_USD",
        "units": units,
        "client_order_id": f"surface-{units}",
        "reduce_only": reduce_only,
    }
    return {"PlaceMarketOrder": told}


async def ask_all(world: World, requests: dict[str, Json] | None = None) -> Came:
    """Every method; the kill switch last: the others shall see it as the situation has it."""
    names = [m.name for m in METHODS.values() if m.name != "SetKillSwitch"]
    came = await asyncio.gather(*(world.ask(name, (requests or {}).get(name)) for name in names))
    return {
        **dict(zip(names, came, strict=True)),
        "SetKillSwitch": await world.ask("SetKillSwitch"),
    }


async def ask_one(world: World, requests: dict[str, Json]) -> Came:
    return {name: await world.ask(name, body) for name, body in requests.items()}


async def until(world: World, *names: str) -> None:
    """Until these methods have good answers."""

    async def all_good() -> bool:
        return all([(await world.ask(name))[0] == OK for name in names])

    await eventually(all_good, within_s=60, every_s=0.2)


async def of_a_life(folder: Path, valkey: ValkeyServer) -> Seen:
    """A stack that waits, works, and loses its store."""
    seen: Seen = {}
    store = open_valkey(valkey.url)
    for name in SERVICES:
        await reply(store.hset(keys.lease(name), mapping={"holder": "elsewhere", "token": "1"}))
    async with running_world(folder, valkey) as world:
        await until(world, "GetBudget", "GetStatus")
        seen["another replica writes, and has made nothing yet"] = await ask_all(world)
        await reply(store.delete(*map(keys.lease, SERVICES)))
        await until(world, "GetHealth", "GetManifoldCoeffs", "ListGates", "ExecuteDrain")
        seen["all is well"] = await ask_all(world, order("5", reduce_only=True))
        seen["what is asked for is unknown"] = await ask_all(world, UNKNOWN_INSTRUMENT)
        seen["the order is too small"] = await ask_one(world, order("0.1"))
        seen["the order is too large"] = await ask_one(world, order("1000000001"))
        await world.ask("SetKillSwitch", {"kill_switch": False, "reason": "a test"})
        seen["the kill switch is released"] = await ask_all(world)
        seen["what is stored is corrupt"] = await with_corruption(world)
        valkey.freeze()
        seen["the store hangs"] = await ask_all(world)
        valkey.kill()
        seen["the store is away"] = await ask_all(world)
        await store.aclose()
    return seen


async def with_corruption(world: World) -> Came:
    """Records that can't be read; the evaluator writes sound ones every few seconds."""
    await reply(world.store.set(keys.order_claim("surface-1"), "{"))

    async def corrupted() -> Came | None:
        (last,) = await reply(world.store.zrange(keys.signal_index("EUR_USD"), -1, -1))
        await reply(world.store.set(last, "{"))
        came = await ask_all(world)
        return (
            came
            if None not in came["GetManifoldCoeffs"] and OK not in came["GetManifoldCoeffs"]
            else None
        )

    return await eventually(corrupted, within_s=60) or {}


async def of_a_lonely_end(folder: Path, valkey: ValkeyServer) -> Seen:
    """A stack that loses its broker, then its gateway."""
    seen: Seen = {}
    async with running_world(folder, valkey) as world:
        await until(world, "GetHealth", "GetBudget", "ExecuteDrain")
        await world.take_away("broker")
        seen["the broker is away"] = await ask_all(world)
        await world.ask("SetKillSwitch", {"kill_switch": False, "reason": "a test"})
        seen["the broker is known to be away"] = await known_to_be_away(world)
        await world.ask("SetKillSwitch")
        await world.take_away("gateway")
        seen["the gateway is away"] = await ask_all(world)
    return seen


async def known_to_be_away(world: World) -> Came:
    """Orders until none may have got through: the first ones meet connections that break."""
    numbers = count(10)

    async def refused() -> Came | None:
        number = next(numbers)
        close = {**CLOSE, "client_order_id": f"surface-close-{number}"}
        came = await ask_one(
            world, {**order(str(number)), "ClosePosition": close, "CloseTrade": TRADE}
        )
        return None if any(native == OK for native, _ in came.values()) else came

    return await eventually(refused, within_s=30) or {}


async def of_a_reader(folder: Path, valkey: ValkeyServer) -> Seen:
    async with running_world(folder, valkey, READ_ONLY="1") as world:
        await until(world, "GetBudget", "Reconcile")
        return {"everything is read-only": await ask_all(world)}


async def of_a_stranger(folder: Path, valkey: ValkeyServer) -> Seen:
    """A live account that nothing may be sent to, and a broker that was never reached."""
    changed = {"OANDA_ENVIRONMENT": "live", "OANDA_API_URL": "http://127.0.0.1:1"}
    async with running_world(folder, valkey, **changed) as world:
        await until(world, "GetStatus")
        return {"live trading is not allowed, and nobody there": await ask_all(world, FOREIGN)}


@asynccontextmanager
async def a_store(folder: Path) -> AsyncIterator[ValkeyServer]:
    server = ValkeyServer(folder, fsync="no")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Everything that every method came to in every situation."""
    found: Seen = {}
    for story in (of_a_life, of_a_lonely_end, of_a_reader, of_a_stranger):
        folder = tmp_path_factory.mktemp(story.__name__)
        async with a_store(folder) as valkey:
            found |= await story(folder, valkey)
    return found


@pytest.mark.parametrize("row", own_rows(), ids=str)
async def test_a_documented_error_comes(seen: Seen, row: Row) -> None:
    came = [
        situation[row.method.name] for situation in seen.values() if row.method.name in situation
    ]
    assert row.outcome in [native for native, _ in came]
    if row.method.route:
        assert row.outcome in [rest for _, rest in came]


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
async def test_no_other_error_comes(seen: Seen, method: Method) -> None:
    told = {OK, *(row.outcome for row in own_rows() if row.method == method)}
    for situation, came in seen.items():
        for outcome in came.get(method.name, ()):
            assert outcome is None or outcome in told or by_the_proxy(outcome), situation


def by_the_proxy(outcome: Outcome) -> bool:
    """A service is gone, and nobody else could say so."""
    return outcome.code == "UNAVAILABLE" and outcome.reason in {"", "UPSTREAM_UNAVAILABLE"}


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
async def test_in_calm_a_method_has_a_good_answer(seen: Seen, method: Method) -> None:
    native, rest = seen["all is well"][method.name]
    assert native == OK
    assert rest in {OK, None}
    assert (rest is None) is not bool(method.route)
