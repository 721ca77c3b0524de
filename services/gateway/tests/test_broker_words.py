"""The broker's own words reach errors, results and logs, whatever the status."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sep_gateway.adapters.oanda.broker import OandaBroker
from sep_gateway.adapters.oanda.broker_words import broker_words
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.throttle import Throttles
from sep_gateway.domain.orders import MarketOrder, OrderState, TradeClose
from sep_gateway.metrics import GatewayMetrics
from sep_kit.errors import BrokerUnavailableError

from .orders import REJECTED, place

TOKEN = "a-secret-broker-token"
ENTRY = MarketOrder(client_order_id="an-order-1", instrument="EUR_USD", units=1)  # type: ignore[arg-type]

Answer = Callable[[int, bytes], Awaitable[OandaBroker]]


@pytest.fixture
async def answer() -> AsyncIterator[Answer]:
    """Returns a factory of brokers that answer everything with one status and body."""
    closing: list[Callable[[], Awaitable[None]]] = []

    async def start(status: int, body: bytes) -> OandaBroker:
        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = f"HTTP/1.1 {status} Some\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            while b"\r\n\r\n" in await reader.readuntil(b"\r\n\r\n"):
                writer.write(head + body)
                break
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(respond, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        metrics = GatewayMetrics(CollectorRegistry())
        http = OandaHttp(
            f"http://127.0.0.1:{port}",
            SecretStr(TOKEN),
            2.0,
            Throttles.for_oanda(metrics),
            metrics,
        )

        async def close() -> None:
            await http.close()
            server.close()

        closing.append(close)
        return OandaBroker(http, "101-001-0000001-001")

    yield start
    for close in closing:
        await close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 415, 429, 500, 503])
async def test_error_of_a_read_has_the_brokers_words(answer: Answer, status: int) -> None:
    body = {"errorMessage": "A precise explanation.", "errorCode": "WHY"}
    broker = await answer(status, json.dumps(body).encode())
    with pytest.raises(BrokerUnavailableError, match="WHY: A precise explanation") as failure:
        await broker.account()
    assert str(status) in str(failure.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
async def test_result_of_an_order_has_the_brokers_words(answer: Answer, status: int) -> None:
    broker = await answer(status, b'{"errorMessage": "Insufficient authorization."}')
    for result in (
        await broker.create_market_order(ENTRY),
        await broker.close_trade(TradeClose(trade_id=7, client_order_id="a-close-1")),
    ):
        assert result.message == "Insufficient authorization."
        if status < 500:
            assert (result.state, result.reason) == (OrderState.REJECTED, f"HTTP_{status}")
        else:
            assert result.state is OrderState.UNKNOWN
            assert "Insufficient authorization." in result.reason


@pytest.mark.parametrize("status", [405, 429])
async def test_order_refused_for_another_reason_than_itself_has_the_words(
    answer: Answer, status: int
) -> None:
    broker = await answer(status, b'{"errorMessage": "Not now."}')
    with pytest.raises(BrokerUnavailableError, match="Not now"):
        await broker.create_market_order(ENTRY)


async def test_page_that_is_not_json_is_quoted(answer: Answer) -> None:
    broker = await answer(502, b"<html>Bad gateway: try later</html>")
    with pytest.raises(BrokerUnavailableError, match="try later"):
        await broker.account()


def test_words_are_safe_to_log() -> None:
    body: dict[str, Any] = {"errorMessage": f"no\n{TOKEN}\x1b[31m" + "x" * 10_000}
    words = broker_words(b"", body, TOKEN)
    assert TOKEN not in words
    assert words.isprintable()
    assert len(words) <= 500
    assert words.endswith("[cut]")


async def test_reject_carries_reason_words_and_newest_transaction(
    gateway: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    placed = await place(gateway, "an-order-1", price_bound="0")
    assert placed.state == REJECTED
    assert placed.message.startswith(f"{placed.reason}: ")
    assert placed.last_transaction_id == placed.transaction_id
    assert placed.message in capfd.readouterr().out
