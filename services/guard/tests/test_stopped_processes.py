"""Guard and gateway as processes, stopped or killed between an order and its answer."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from sep.guard.v1 import guard_pb2_grpc
from sep_guard.app import build
from sep_kit.clock import SystemClock
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_paper_broker.app import RunningBroker
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer, free_port

from .harness import Feed, log, settings_of
from .risk.limits import WIDE_SETTINGS
from .test_broker_contract import TOKEN, serve_gateway, serve_paper
from .test_guard_service import EUR, reconcile

MAX_AGE_S = 5
# Prices of both are near the one that the feed writes.
BOTH = {"HOTBAND_PAIRS": f"{EUR},GBP_USD"}
pytestmark = pytest.mark.timeout(400)


@asynccontextmanager
async def process(
    module: str, output: Path, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A service as a process; its output goes to a file. It is killed at the end."""
    with output.open("ab") as log_file:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module,
            env={"PATH": os.environ["PATH"], "API_ACCESS": "open", **BOTH, **environment},
            stdout=log_file, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            started.kill()
        await started.wait()


def fills(paper: RunningBroker) -> list[tuple[str, str]]:
    """Client order ids and instruments of the fills in the broker's own ledger."""
    transactions: list[Any] = list(paper.broker.account.book.ledger.transactions)
    return [
        (str(t.body.client_order_id), t.body.instrument)
        for t in transactions
        if t.body.type == "ORDER_FILL"
    ]


async def outcomes(store: Valkey) -> list[dict[str, Any]]:
    """Recorded outcomes of orders, oldest first."""
    return [record for record in await log(store) if record["event"] == "order"]


def late(paper: RunningBroker, seconds: float) -> Any:
    """The broker's next order is accepted late; a condition that holds once it has arrived."""
    fault = paper.faults.add(
        {"kind": "latency", "method": "POST", "path": "orders$", "times": 1, "seconds": seconds}
    )
    return lambda: fault.id not in [f.id for f in paper.faults.faults]


async def test_an_entry_that_a_stopped_guard_sends_when_it_goes_on_is_refused(
    store: Valkey, shared_valkey: ValkeyServer, tmp_path: Path
) -> None:
    """Both entries are of one decision. The guard stops while the first one is answered."""
    address = f"127.0.0.1:{free_port()}"
    feed = Feed(store, SystemClock())
    async with (
        serve_paper(TOKEN) as paper,
        serve_gateway(
            shared_valkey, paper, **BOTH, ORDER_MAX_AGE_SEC=str(MAX_AGE_S)
        ) as gateway,
        process(
            "sep_guard", tmp_path / "guard.log",
            **{**WIDE_SETTINGS, "GRPC_LISTEN": address, "GATEWAY_ADDR": gateway,
               "VALKEY_URL": shared_valkey.url, "PM_RECONCILE_SEC": "3600",
               "MARKET_CALENDAR": "24x7"},
        ) as guard,
        grpc.aio.insecure_channel(address) as channel,
    ):  # fmt: skip
        await eventually(lambda: store.exists(keys.ALLOC_BUDGET), within_s=90)
        await feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
        arrived = late(paper, 4.0)
        stub = guard_pb2_grpc.GuardServiceStub(channel)
        cycle = asyncio.create_task(reconcile(stub))
        await eventually(arrived)
        os.kill(guard.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(MAX_AGE_S + 1)
        finally:
            os.kill(guard.pid, signal.SIGCONT)

        async def both_known() -> list[dict[str, Any]]:
            known = [o for o in await outcomes(store) if o["outcome"] != "UNKNOWN"]
            return known if len(known) >= 2 else []

        known = await eventually(both_known)
        with suppress(SepError):
            await cycle
        refused = [o for o in known if o["outcome"] == "REJECTED"]
        # A machine that stalls as well may have cost the guard its lease.
        assert {o["reason"] for o in refused} <= {"ORDER_TOO_OLD", "NOT_THE_WRITER"}, known
        assert len(refused) == 1, known
        assert len(fills(paper)) == 1


@pytest.mark.parametrize("arrives", [True, False])
async def test_an_order_during_which_the_gateway_is_killed_is_settled_and_not_doubled(
    store: Valkey,
    shared_valkey: ValkeyServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arrives: bool,
) -> None:
    """Either the broker has filled it and the gateway dies before it reads so, or it never will."""
    # Longer than the gateway's timeout, as in production, and shorter than a minute.
    monkeypatch.setattr("sep_guard.domain.orders.SETTLE_MS", 10_000)
    address = f"127.0.0.1:{free_port()}"
    feed = Feed(store, SystemClock())
    keys_dir = tmp_path / "keys"
    keys_dir.mkdir()
    key = keys_dir / "internal.guard"
    key.write_text("0123456789" * 4)
    key.chmod(0o600)

    async with serve_paper(TOKEN) as paper:

        def gateway() -> Any:
            return process(
                "sep_gateway", tmp_path / "gateway.log", GRPC_LISTEN=address,
                VALKEY_URL=shared_valkey.url, OANDA_API_URL=paper.url,
                OANDA_STREAM_URL=paper.url, OANDA_API_TOKEN=TOKEN, OANDA_TIMEOUT_SEC="5",
                CANDLE_BACKFILL_DAYS="0.02", API_KEYS_DIR=str(keys_dir),
            )  # fmt: skip

        # One step to the target, so that a second entry would be a double one.
        settings = settings_of(
            shared_valkey.url, **BOTH, GATEWAY_ADDR=address, PM_RECONCILE_SEC="3600",
            PM_RAMP_STEP_PCT="1", API_KEYS_DIR=str(keys_dir), API_ACCESS="open",
            EDGE_WRITE_LIMIT="10000",
        )  # fmt: skip
        async with (
            running_service("guard", settings, build) as guard,
            grpc.aio.insecure_channel(guard) as channel,
        ):
            stub = guard_pb2_grpc.GuardServiceStub(channel)
            async with gateway() as first:
                await eventually(lambda: store.exists(keys.ALLOC_BUDGET), within_s=90)
                await feed.all_clear(EUR_USD=0.05)
                if arrives:
                    arrived = late(paper, 1.0)
                else:
                    fault = paper.faults.add({"kind": "hang", "path": "orders$", "times": 1})
                    arrived = lambda: fault.id not in [f.id for f in paper.faults.faults]  # noqa: E731
                cycle = asyncio.create_task(reconcile(stub))
                await eventually(arrived)
                if arrives:
                    # What the broker answers stays unread.
                    os.kill(first.pid, signal.SIGSTOP)
                    await eventually(lambda: fills(paper))
                os.kill(first.pid, signal.SIGKILL)
                action = (await cycle)[EUR]
                assert action.order_state == "UNKNOWN", action
            async with gateway():

                async def held() -> bool:
                    await feed.all_clear(EUR_USD=0.05)
                    with suppress(SepError):
                        await reconcile(stub)
                    settled = not await reply(store.exists(keys.OPEN_ORDERS))
                    return settled and bool(fills(paper))

                await eventually(held, within_s=90)
                for _ in range(2):
                    await reconcile(stub)
                ids = [i for i, _ in fills(paper)]
                assert len(ids) == 1, ids
                assert (ids == [action.client_order_id]) is arrives
                recorded = [o["outcome"] for o in await outcomes(store)]
                assert recorded[0] == "UNKNOWN", recorded
