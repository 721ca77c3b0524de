"""A gateway whose ledger is made by arithmetic, for the suite of the journal."""

import asyncio
import sys
from typing import Any

from prometheus_client import CollectorRegistry
from sep.gateway.v1 import gateway_pb2 as pb
from sep.gateway.v1 import gateway_pb2_grpc
from sep_kit.clock import SystemClock, now_ms
from sep_kit.grpc.server import GrpcServer, Handler
from sep_kit.logging import LogFormat, configure_logging

_YEARS_MS = 3 * 365 * 86_400_000
_NAMES = ("EUR_USD", "USD_JPY", "GBP_USD", "AUD_USD", "EUR_JPY", "USD_CAD", "USD_CHF", "NZD_USD")
_OPENING, _ENTRY, _CLOSING, _EXIT = range(4)


class Gateway(gateway_pb2_grpc.GatewayServiceServicer):
    """Order, fill that opens, order, fill that closes, and so on; each trade gains a cent."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._start = now_ms(SystemClock()) - _YEARS_MS

    async def ListTransactions(
        self, request: pb.ListTransactionsRequest, context: Any
    ) -> pb.ListTransactionsResponse:
        """A page of the ledger."""
        first = int(request.since_transaction_id) + 1
        last = min(self._count, int(request.through_transaction_id or self._count))
        return pb.ListTransactionsResponse(
            transactions=[self._entry(number) for number in range(first, last + 1)],
            last_transaction_id=str(self._count),
            whole=True,
        )

    def _entry(self, number: int) -> pb.Transaction:
        ts_ms = self._start + number * _YEARS_MS // self._count
        if number == 1:
            return pb.Transaction(
                id="1", ts_ms=ts_ms, type="TRANSFER_FUNDS", amount="100000",
                account_balance="100000",
            )  # fmt: skip
        step, name = (number - 2) % 4, _NAMES[number // 4 % len(_NAMES)]
        client_id = f"sep-{number - step % 2}"
        if step in (_OPENING, _CLOSING):
            return pb.Transaction(
                id=str(number), ts_ms=ts_ms, type="MARKET_ORDER", instrument=name,
                client_order_id=client_id, client_tag="sep", own=True,
            )  # fmt: skip
        fill = pb.Transaction(
            id=str(number), ts_ms=ts_ms, type="ORDER_FILL", reason="MARKET_ORDER", instrument=name,
            order_id=str(number - 1), client_order_id=client_id, client_tag="sep", own=True,
            price="1.10500", account_balance=f"{100_000 + (number + 1) // 4 / 100 - 0.01:.2f}",
            charges=pb.Charges(gain_factor="0.99", loss_factor="1.01", half_spread_cost="0.05",
                               commission="0", bid="1.10490", ask="1.10510"),
        )  # fmt: skip
        charges = pb.Charges(half_spread_cost="0.05")
        if step == _ENTRY:
            fill.units = "1000"
            fill.trade_opened.CopyFrom(
                pb.TradeOpened(trade_id=str(number), units="1000", price="1.10500",
                               client_tag="sep", charges=charges)
            )  # fmt: skip
        else:
            fill.units = "-1000"
            fill.account_balance = f"{100_000 + (number - 1) // 4 / 100:.2f}"
            fill.trades_closed.append(
                pb.TradeClosed(trade_id=str(number - 2), units="-1000", price="1.10500",
                               realized_pl="0.01", charges=charges)
            )  # fmt: skip
        return fill


async def _serve(port: int, count: int) -> None:
    configure_logging("gateway", LogFormat.JSON, "WARNING")
    handler = Handler(
        "sep.gateway.v1.GatewayService",
        Gateway(count),  # type: ignore[abstract]
        gateway_pb2_grpc.add_GatewayServiceServicer_to_server,
    )
    server = GrpcServer([handler], CollectorRegistry())
    await server.start(f"127.0.0.1:{port}")
    await server.set_serving(serving=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
