"""The broker port over OANDA v20."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND, format_rfc3339

from sep_gateway.adapters.oanda import parse, parse_account, parse_candles, parse_transactions
from sep_gateway.adapters.oanda.failures import AccessDeniedError, NoResponseError, RefusedError
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.members import PARSE_ERRORS
from sep_gateway.adapters.oanda.order_messages import (
    TradeRequest,
    created_result,
    last_transaction,
    market_order_request,
    position_close_request,
    rejected_result,
    stop_result,
    trade_close_request,
    trade_stop_request,
)
from sep_gateway.domain.account import (
    AccountSummary,
    Instruments,
    OpenTrades,
    Positions,
    Trade,
)
from sep_gateway.domain.candle_page import CandlePage
from sep_gateway.domain.coverage import BackwardPage, ForwardPage
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.orders import (
    MarketOrder,
    OrderResult,
    OrderState,
    PositionClose,
    TradeClose,
    TradeStop,
)
from sep_gateway.domain.pricing import Pricing
from sep_gateway.domain.transactions import Transaction, TransactionPage, result_of
from sep_gateway.ports import BeforeSending

Json = dict[str, Any]

_HEARTBEAT_TIMEOUT_S = 2.0
_NOT_FOUND = 404
# Statuses that refuse an order itself. A token may be allowed to read and not to trade.
_REFUSES_ORDER = (400, 401, 403, 404)


class OandaBroker:
    """One account at OANDA, or at the paper broker. Implements ``ports.Broker``."""

    def __init__(self, http: OandaHttp, account_id: str) -> None:
        self._http = http
        self._account_id = account_id
        self._account = f"/v3/accounts/{account_id}"

    async def account(self) -> AccountSummary:
        """The account summary; one attempt with a short timeout, since it is the heartbeat."""
        try:
            response = await self._http.get(
                "summary",
                f"{self._account}/summary",
                attempts=1,
                timeout_s=_HEARTBEAT_TIMEOUT_S,
                urgent=True,
            )
        except RefusedError as error:
            if error.status != _NOT_FOUND:
                raise
            raise AccessDeniedError(
                str(error), error.status, error.body, words=error.words
            ) from error
        with parse.parsing("summary"):
            return parse_account.account_summary(response)

    async def positions(self) -> Positions:
        """Open positions."""
        response = await self._get("openPositions")
        with parse.parsing("openPositions"):
            return parse.positions(response)

    async def open_trades(self) -> OpenTrades:
        """Open trades."""
        response = await self._get("openTrades")
        with parse.parsing("openTrades"):
            return parse.open_trades(response)

    async def trade(self, trade_id: int) -> Trade | None:
        """One trade; None when the broker knows no such open trade."""
        try:
            response = await self._get("trade", f"trades/{trade_id}", urgent=True)
        except RefusedError as error:
            if is_missing(error):
                return None
            raise
        with parse.parsing("trade"):
            return parse.open_trade(response)

    async def is_mt4(self) -> bool:
        """Whether the account belongs to MetaTrader 4, which replaces client extensions."""
        response = await self._http.get("accounts", "/v3/accounts")
        with parse.parsing("accounts"):
            own = [a for a in response["accounts"] if a.get("id") == self._account_id]
            return any("mt4AccountID" in a or "MT4" in (a.get("tags") or ()) for a in own)

    async def instruments(self) -> Instruments:
        """Tradeable instruments."""
        response = await self._get("instruments")
        with parse.parsing("instruments"):
            return parse.instruments(response)

    async def pricing(self, instruments: Sequence[str]) -> Pricing:
        """Current prices and home conversions."""
        response = await self._get(
            "pricing",
            params={"instruments": ",".join(instruments), "includeHomeConversions": "true"},
        )
        with parse.parsing("pricing"):
            return parse.pricing(response)

    async def candles(
        self,
        instrument: str,
        granularity: Granularity,
        page: ForwardPage | BackwardPage,
        count: int,
    ) -> CandlePage:
        """Up to ``count`` candles of bid and ask, oldest first."""
        params = {
            "price": "BA",
            "granularity": granularity.value,
            "count": str(count),
            # Bars of two hours and longer then start at multiples of their length, as in the
            # store.
            "dailyAlignment": "0",
            "alignmentTimezone": "UTC",
        }
        if isinstance(page, ForwardPage):
            params["from"] = format_rfc3339(page.start * NS_PER_SECOND)
            params["includeFirst"] = "true" if page.include_first else "false"
        elif page.before is not None:
            params["to"] = format_rfc3339(page.before * NS_PER_SECOND)
        response = await self._get("candles", f"instruments/{instrument}/candles", params)
        # Thousands of decimals: parsed in a thread, so that orders do not wait for it.
        with parse.parsing("candles"):
            return await asyncio.to_thread(parse_candles.candles, response)

    async def create_market_order(
        self, order: MarketOrder, before_sending: BeforeSending | None = None
    ) -> OrderResult:
        """Send an order once; UNKNOWN if the outcome is not certain.

        Raises:
            NotSentError, RefusedError: the broker did not execute it.
        """
        return await self._trade(market_order_request(order), before_sending)

    async def close_position(self, close: PositionClose) -> OrderResult:
        """Close one whole side of a position, once; errors and UNKNOWN as for an order."""
        return await self._trade(position_close_request(close))

    async def close_trade(self, close: TradeClose) -> OrderResult:
        """Close a trade or a part of it, once; errors and UNKNOWN as for an order."""
        return await self._trade(trade_close_request(close))

    async def set_trade_stop(self, stop: TradeStop) -> OrderResult:
        """Give a trade a stop loss; errors and UNKNOWN as for an order."""
        return await self._trade(trade_stop_request(stop), result=stop_result)

    async def _trade(
        self,
        request: TradeRequest,
        before_sending: BeforeSending | None = None,
        result: Callable[[TradeRequest, Json], OrderResult] = created_result,
    ) -> OrderResult:
        try:
            response = await self._http.send_once(
                request.method,
                request.endpoint,
                f"{self._account}/{request.path}",
                request.body,
                force=request.force,
                before_sending=before_sending,
            )
            with parse.parsing(request.endpoint):
                return result(request, response)
        except NoResponseError as error:
            return OrderResult(
                client_order_id=request.client_order_id,
                state=OrderState.UNKNOWN,
                reason=str(error),
                message=error.words,
            )
        except RefusedError as error:
            if error.status not in _REFUSES_ORDER:
                raise
            try:
                return rejected_result(request, error)
            except PARSE_ERRORS:
                return OrderResult(
                    client_order_id=request.client_order_id,
                    state=OrderState.UNKNOWN,
                    reason=f"{request.endpoint}: the reject can't be parsed",
                    message=error.words,
                )

    async def find_order(self, client_order_id: str) -> OrderResult | None:
        """An order's result by its client id; None when the broker knows no such order."""
        try:
            response = await self._get(
                "order", f"orders/@{quote(client_order_id, safe='')}", urgent=True
            )
        except RefusedError as error:
            if is_missing(error):
                return None
            raise
        with parse.parsing("order"):
            order = response["order"]
            pending = parse_transactions.pending_result(client_order_id, order)
            if pending is not None:
                return pending
            ended_by = parse_transactions.ending_transaction(order)
        response = await self._get("transaction", f"transactions/{ended_by}", urgent=True)
        with parse.parsing("transaction"):
            result = result_of(
                client_order_id, parse_transactions.transaction(response["transaction"])
            )
            if result is None:
                raise ValueError(f"transaction {ended_by} does not end an order")
            return replace(result, last_transaction_id=last_transaction(response))

    async def transactions_since(
        self, transaction_id: int, through: int | None = None
    ) -> TransactionPage:
        """Every transaction after the given one, from the transaction list, page by page.

        Args:
            through: later transactions are not wanted; the last page may have some.
        """
        found: list[Transaction] = []
        left_out: list[LeftOut] = []
        newest = transaction_id
        while True:
            after = found[-1].id if found else transaction_id
            response = await self._get("sinceid", "transactions/sinceid", {"id": str(after)})
            with parse.parsing("sinceid"):
                page, bad = parse_transactions.transactions(response["transactions"])
                newest = parse.newest_transaction(response)
                fresh = [t for t in page if t.id > after]
                found.extend(fresh)
                left_out.extend(bad)
                if not fresh and after < newest and not bad:
                    raise ValueError(f"no transaction after {after}, but {newest} is the last")
            if not fresh or found[-1].id >= (newest if through is None else min(newest, through)):
                return TransactionPage(tuple(found), newest, tuple(left_out))

    async def changes_since(self, transaction_id: int) -> TransactionPage:
        """Every transaction after the given one, from the account changes, in one response."""
        params = {"sinceTransactionID": str(transaction_id)}
        response = await self._get("changes", params=params)
        with parse.parsing("changes"):
            found, left_out = parse_transactions.transactions(
                response["changes"].get("transactions", [])
            )
            return TransactionPage(
                tuple(found), parse.newest_transaction(response), tuple(left_out)
            )

    async def last_transaction_id(self) -> int:
        """Id of the account's newest transaction."""
        return (await self.account()).last_transaction_id

    async def _get(
        self,
        endpoint: str,
        path: str | None = None,
        params: Mapping[str, str] | None = None,
        *,
        urgent: bool = False,
    ) -> Json:
        return await self._http.get(
            endpoint, f"{self._account}/{path or endpoint}", params, urgent=urgent
        )


def is_missing(error: RefusedError) -> bool:
    """Whether a 404 is about what was asked for, and not about the account."""
    return error.status == _NOT_FOUND and bool(error.words) and "account" not in error.words.lower()
