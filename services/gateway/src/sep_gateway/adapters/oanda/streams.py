"""The price stream and the transaction stream, parsed line by line."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from sep_fx.instants import parse_rfc3339

from sep_gateway.adapters.oanda import parse
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.members import PARSE_ERRORS, fault_text
from sep_gateway.adapters.oanda.parse_transactions import transaction_or_left_out
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.pricing import Price
from sep_gateway.domain.transactions import Transaction
from sep_gateway.ports import Heartbeat

Json = dict[str, Any]


class OandaStreams:
    """Opens streams. Implements ``ports.Streams``.

    Args:
        silence_s: a stream without a line for this long is broken, even if connected.
    """

    def __init__(self, http: OandaHttp, account_id: str, silence_s: float) -> None:
        self._http = http
        self._account = f"/v3/accounts/{account_id}"
        self._silence_s = silence_s

    async def prices(
        self, instruments: Sequence[str]
    ) -> AsyncGenerator[Price | Heartbeat | LeftOut, None]:
        """The current prices, then every new one; a line that can't be read is left out."""
        params = {"instruments": ",".join(instruments), "snapshot": "true"}
        async with aclosing(self._entries("pricing/stream", params)) as entries:
            async for entry in entries:
                yield _price(entry)

    async def transactions(self) -> AsyncGenerator[Transaction | Heartbeat | LeftOut, None]:
        """Every new transaction; heartbeats name the newest id."""
        async with aclosing(self._entries("transactions/stream", {})) as entries:
            async for entry in entries:
                if entry.get("type") != "HEARTBEAT":
                    yield transaction_or_left_out(entry)
                    continue
                with parse.parsing("transactions/stream"):
                    newest = parse.newest_transaction(entry)
                    yield Heartbeat(parse_rfc3339(entry["time"]), newest)

    async def _entries(self, endpoint: str, params: dict[str, str]) -> AsyncGenerator[Json, None]:
        path = f"{self._account}/{endpoint}"
        lines = self._http.stream_lines(endpoint, path, params, self._silence_s)
        async with aclosing(lines):
            async for line in lines:
                with parse.parsing(endpoint):
                    entry = json.loads(line)
                    if not isinstance(entry, dict):
                        raise TypeError("a line is not a JSON object")
                yield entry


def _price(entry: Json) -> Price | Heartbeat | LeftOut:
    try:
        if entry.get("type") == "HEARTBEAT":
            return Heartbeat(parse_rfc3339(entry["time"]))
        return parse.price(entry)
    except PARSE_ERRORS as error:
        return LeftOut(kind="price", name="", text=fault_text(error))
