"""The broker's two streams as values, one at a time, for as long as they last."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from sep_fx.instants import parse_rfc3339

from sep_gateway.adapters.oanda import parse
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.parse_transactions import transaction
from sep_gateway.domain.pricing import Price
from sep_gateway.domain.transactions import Transaction
from sep_gateway.ports import Beat

Json = dict[str, Any]


class OandaStreams:
    """Opens streams. Implements ``ports.Streams``.

    Args:
        silence_s: a stream not heard for so long is dead, even if its connection stands.
    """

    def __init__(self, http: OandaHttp, account_id: str, silence_s: float) -> None:
        self._http = http
        self._account = f"/v3/accounts/{account_id}"
        self._silence_s = silence_s

    async def prices(self, instruments: Sequence[str]) -> AsyncGenerator[Price | Beat, None]:
        """The current prices, then every new one."""
        params = {"instruments": ",".join(instruments), "snapshot": "true"}
        async with aclosing(self._entries("pricing/stream", params)) as entries:
            async for entry in entries:
                with parse.legible("pricing/stream"):
                    if entry["type"] == "HEARTBEAT":
                        yield Beat(parse_rfc3339(entry["time"]))
                    else:
                        yield parse.price(entry)

    async def transactions(self) -> AsyncGenerator[Transaction | Beat, None]:
        """Every new transaction; a heartbeat names the newest."""
        async with aclosing(self._entries("transactions/stream", {})) as entries:
            async for entry in entries:
                with parse.legible("transactions/stream"):
                    if entry["type"] == "HEARTBEAT":
                        newest = int(entry["lastTransactionID"])
                        yield Beat(parse_rfc3339(entry["time"]), newest)
                    else:
                        yield transaction(entry)

    async def _entries(self, endpoint: str, params: dict[str, str]) -> AsyncGenerator[Json, None]:
        path = f"{self._account}/{endpoint}"
        lines = self._http.stream_lines(endpoint, path, params, self._silence_s)
        async with aclosing(lines):
            async for line in lines:
                with parse.legible(endpoint):
                    yield json.loads(line)
