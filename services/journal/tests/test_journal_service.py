"""The journal as a service: a real gateway contract on port 0, a real Valkey, a real database."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep.guard.v1 import guard_pb2, guard_pb2_grpc
from sep.journal.v1 import journal_pb2 as pb
from sep.journal.v1 import journal_pb2_grpc
from sep_journal.app import build
from sep_journal.settings import JournalSettings
from sep_kit.grpc.server import Handler
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey, reply
from sep_testing.eventually import eventually
from sep_testing.services import running_server, running_service
from sep_testing.valkey import ValkeyServer

from .sinks import HttpSink

D = Decimal


class Gateway(gateway_pb2_grpc.GatewayServiceServicer):
    """A ledger that grows; an entry that is not there yet leaves a gap."""

    def __init__(self) -> None:
        self.entries: list[gateway_pb2.Transaction] = []
        self.missing: set[int] = set()
        self.asked: list[int] = []

    def deposit(self, amount: str) -> None:
        balance = D(self.entries[-1].account_balance) if self.entries else D(0)
        self.entries.append(
            gateway_pb2.Transaction(
                id=str(len(self.entries) + 1),
                ts_ms=1_700_000_000_000,
                type="TRANSFER_FUNDS",
                amount=amount,
                account_balance=str(balance + D(amount)),
            )
        )

    async def ListTransactions(
        self, request: gateway_pb2.ListTransactionsRequest, context: Any
    ) -> gateway_pb2.ListTransactionsResponse:
        since, through = int(request.since_transaction_id), int(request.through_transaction_id)
        self.asked.append(since)
        found = [
            e
            for e in self.entries
            if since < int(e.id) <= through and int(e.id) not in self.missing
        ]
        return gateway_pb2.ListTransactionsResponse(
            transactions=found, last_transaction_id=str(len(self.entries)), whole=True
        )

    async def GetAccount(
        self, request: gateway_pb2.GetAccountRequest, context: Any
    ) -> gateway_pb2.GetAccountResponse:
        return gateway_pb2.GetAccountResponse(
            balance="100", nav="101.5", margin_used="0", ts_ms=1_700_000_000_000
        )


@asynccontextmanager
async def running_gateway(gateway: Gateway) -> AsyncIterator[str]:
    add = gateway_pb2_grpc.add_GatewayServiceServicer_to_server
    handler = Handler("sep.gateway.v1.GatewayService", gateway, add)
    async with running_server(handler) as running:
        yield running.address


class Guard(guard_pb2_grpc.GuardServiceServicer):
    """Makes every decision again as a refusal."""

    async def RemakeDecision(
        self, request: guard_pb2.RemakeDecisionRequest, context: Any
    ) -> guard_pb2.RemakeDecisionResponse:
        if '"event":"order"' in request.record:
            return guard_pb2.RemakeDecisionResponse()
        difference = guard_pb2.RemadeDifference(name="kind", recorded="1", remade="2")
        return guard_pb2.RemakeDecisionResponse(same=False, result="{}", differences=[difference])


@asynccontextmanager
async def running_journal(
    valkey: ValkeyServer,
    gateway: str,
    database: str,
    guard: str = "127.0.0.1:1",
    **knobs: str,
) -> AsyncIterator[Any]:
    environment = {
        **knobs,
        "GUARD_ADDR": guard,
        "VALKEY_URL": valkey.url,
        "GATEWAY_ADDR": gateway,
        "GRPC_LISTEN": "127.0.0.1:0",
        "JOURNAL_DB_URL": database,
        "JOURNAL_POLL_SEC": "0.1",
        "JOURNAL_PAGE_SIZE": "2",
    }
    settings = load_settings(JournalSettings, environment, Path("/nonexistent"))
    async with (
        running_service("journal", settings, build) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: Any = journal_pb2_grpc.JournalServiceStub(channel)

        async def migrated() -> bool:
            try:
                await ledger(stub)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    return False
                raise
            return True

        await eventually(migrated, within_s=90)
        yield stub


async def ledger(stub: Any) -> list[str]:
    response = await stub.ListLedger(pb.ListLedgerRequest(), timeout=30)
    return [entry.id for entry in response.transactions]


async def test_it_catches_up_by_id_after_outages_and_never_passes_a_gap(
    valkey: ValkeyServer, database_url: str
) -> None:
    gateway = Gateway()  # type: ignore[abstract]
    for _ in range(5):
        gateway.deposit("10")
    gateway.missing.add(4)
    async with running_gateway(gateway) as address:
        async with running_journal(valkey, address, database_url) as stub:

            async def three() -> bool:
                return await ledger(stub) == ["3", "2", "1"]

            await eventually(three, within_s=90)
            # It asks again after the gap, and takes in nothing beyond it.
            asked = len(gateway.asked)

            async def asked_again() -> bool:
                return len(gateway.asked) > asked + 2

            await eventually(asked_again, within_s=90)
            assert await three()
        gateway.missing.clear()
        gateway.deposit("-2.5")
        async with running_journal(valkey, address, database_url) as stub:

            async def six() -> bool:
                return len(await ledger(stub)) == 6

            await eventually(six, within_s=90)
            response = await stub.ListLedger(pb.ListLedgerRequest(page_size=1), timeout=30)
            assert response.transactions[0].transfer == "-2.5"
            assert response.next_page_token
            performance = await stub.GetPerformance(pb.GetPerformanceRequest(), timeout=30)
            assert performance.transfers == "47.5"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_serves_what_it_has_while_the_gateway_is_away(
    valkey: ValkeyServer, database_url: str
) -> None:
    async with open_valkey(valkey.url) as store:
        text = '{"event":"decision","id":"d1","ts":5,"instrument":"EUR_USD","kind":"ENTRY"}'
        for record in ("{", text):
            await reply(store.xadd(keys.GUARD_DECISIONS, {"decision": record}))
    async with running_journal(valkey, "127.0.0.1:1", database_url) as stub:

        async def recorded() -> bool:
            response = await stub.ListDecisions(pb.ListDecisionsRequest(), timeout=30)
            return [d.id for d in response.decisions] == ["d1"]

        await eventually(recorded, within_s=90)
        found = await stub.GetDecision(pb.GetDecisionRequest(id="d1"), timeout=30)
        assert list(found.records) == [text]
        (again,) = found.made_again
        assert not again.HasField("same")
        assert again.fault.startswith("PEER_UNAVAILABLE")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetDecision(pb.GetDecisionRequest(id="d2"), timeout=30)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListTrades(pb.ListTradesRequest(page_token="x"), timeout=30)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def record_all(valkey: ValkeyServer, *records: str) -> None:
    store = open_valkey(valkey.url)
    for record in records:
        await reply(store.xadd(keys.GUARD_DECISIONS, {"decision": record}))
    await store.aclose()


def opening(number: int, client_order_id: str) -> gateway_pb2.Transaction:
    """A fill that opens a trade."""
    return gateway_pb2.Transaction(
        id=str(number), ts_ms=2_000, type="ORDER_FILL", instrument="EUR_USD", units="100",
        client_order_id=client_order_id, account_balance="10", order_id=str(number - 1),
        trade_opened=gateway_pb2.TradeOpened(trade_id=str(number), units="100", price="1.1"),
    )  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_decision_is_made_again_and_followed_from_candle_to_trade(
    valkey: ValkeyServer, database_url: str
) -> None:
    decision = (
        '{"event":"decision","id":"d1","ts":1500,"instrument":"EUR_USD","kind":"ENTRY",'
        '"gates_ts":1200,"weights_ts":1300,"market":{"signal":{"ended_ms":1000}}}'
    )
    order = '{"event":"order","id":"d1","ts":1600,"instrument":"EUR_USD","client_order_id":"sep-1"}'
    await record_all(valkey, decision, order)
    gateway = Gateway()  # type: ignore[abstract]
    gateway.deposit("10")
    created = gateway_pb2.Transaction(
        id="2", ts_ms=2_000, type="MARKET_ORDER", client_order_id="sep-1", instrument="EUR_USD"
    )
    gateway.entries += [created, opening(3, "sep-1")]
    add = guard_pb2_grpc.add_GuardServiceServicer_to_server
    handler = Handler("sep.guard.v1.GuardService", Guard(), add)  # type: ignore[abstract]
    async with (
        running_server(handler) as guard,
        running_gateway(gateway) as address,
        running_journal(valkey, address, database_url, guard.address) as stub,
    ):

        async def followed() -> Any:
            try:
                found = await stub.GetDecision(pb.GetDecisionRequest(id="d1"), timeout=30)
            except grpc.aio.AioRpcError:
                return None
            return found if found.path[-1].step == "trade" else None

        found = await eventually(followed, within_s=90)
    assert [(s.step, s.id, s.ts_ms) for s in found.path] == [
        ("candle", "EUR_USD", 1000),
        ("evaluation", "EUR_USD", 1200),
        ("blob", "1200", 1200),
        ("weights", "EUR_USD", 1300),
        ("decision", "d1", 1500),
        ("intent", "sep-1", 1500),
        ("transaction", "2", 2000),
        ("transaction", "3", 2000),
        ("trade", "3", 2000),
    ]
    assert list(found.records) == [decision, order]
    assert [m.same if m.HasField("same") else None for m in found.made_again] == [False, None]
    assert found.made_again[0].differences[0].name == "kind"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_notifies_of_a_lock_and_tests_its_destinations(
    valkey: ValkeyServer, database_url: str, http_sink: HttpSink, tmp_path: Path
) -> None:
    urls = tmp_path / "urls"
    urls.write_text("")
    knobs = {"NOTIFY_URLS_FILE": str(urls), "NOTIFY_POLL_SEC": "0.2"}
    async with running_journal(valkey, "127.0.0.1:1", database_url, **knobs) as stub:
        tested = await stub.TestNotifications(pb.TestNotificationsRequest(), timeout=60)
        assert list(tested.results) == []
        urls.write_text(http_sink.url)
        tested = await stub.TestNotifications(pb.TestNotificationsRequest(), timeout=60)
        assert [(r.delivered, r.error) for r in tested.results] == [(True, "")]
        assert http_sink.ids[0].startswith("test:")
        store = open_valkey(valkey.url)
        now = time.time_ns() // 10**6 + 60_000
        record = {
            "event": "risk",
            "id": "r1",
            "ts": now,
            "instrument": "EUR_USD",
            "kind": "LOCKED",
            "cause": "manual",
            "reason": "news",
            "actor": "alice",
        }
        await reply(store.xadd(keys.GUARD_DECISIONS, {"decision": json.dumps(record)}))
        await store.aclose()

        def notified() -> bool:
            return http_sink.ids[1:] == ["lock:1:r1"]

        await eventually(notified, within_s=120)
