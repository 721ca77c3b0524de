"""Routes of trades: read, close, change dependent orders."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sep_paper_broker.account.account import Account, UnknownTradeError
from sep_paper_broker.account.trades import Trade, TradeState
from sep_paper_broker.codec import encode
from sep_paper_broker.http import account_json
from sep_paper_broker.http.context import RouteContext, request_id
from sep_paper_broker.http.errors import ApiError, invalid
from sep_paper_broker.http.order_conditions import closing_conditions
from sep_paper_broker.http.order_routes import change_response, order_response_body
from sep_paper_broker.http.paging import newest_first
from sep_paper_broker.http.params import body_object, time_format
from sep_paper_broker.http.request_bodies import client_extensions, close_units, trade_orders
from sep_paper_broker.http.responses import JsonResponse
from sep_paper_broker.orders.conditions import NORMAL
from sep_paper_broker.orders.outcomes import TradeOrdersOutcome
from sep_paper_broker.orders.reasons import RejectReason
from sep_paper_broker.orders.requests import ClientExtensions, CloseAmount

_STATES = {"ALL": frozenset(TradeState), **{s.value: frozenset({s}) for s in TradeState}}


class TradeRoutes:
    """Routes of trades."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes, below ``/v3``."""
        trades = "/accounts/{account}/trades"
        return [
            Route(trades, self.listing),
            Route("/accounts/{account}/openTrades", self.open),
            Route(f"{trades}/{{trade}}", self.details),
            Route(f"{trades}/{{trade}}/close", self.close, methods=["PUT"]),
            Route(f"{trades}/{{trade}}/orders", self.set_orders, methods=["PUT"]),
            Route(f"{trades}/{{trade}}/clientExtensions", self.extensions, methods=["PUT"]),
        ]

    async def listing(self, request: Request) -> Response:
        """Trades in a state, newest first; open ones by default."""
        account = self._context.view(request)
        states = _STATES.get(request.query_params.get("state", "OPEN"))
        if states is None:
            raise invalid("state")
        instrument = request.query_params.get("instrument")
        trades = [
            trade
            for trade in account.book.trades.values()
            if trade.state in states and instrument in (None, trade.instrument)
        ]
        return self._list(request, account, newest_first(request, trades))

    async def open(self, request: Request) -> Response:
        """All open trades, newest first."""
        account = self._context.view(request)
        return self._list(request, account, account.book.open_trades()[::-1])

    async def details(self, request: Request) -> Response:
        """One trade, by id or ``@`` and client id."""
        account = self._context.view(request)
        trade = account.book.find_trade(request.path_params["trade"])
        if trade is None:
            raise _no_such_trade()
        return JsonResponse(
            {
                "trade": account_json.trade_details(account.book, trade, time_format(request)),
                "lastTransactionID": account.last_transaction_id,
            }
        )

    async def close(self, request: Request) -> Response:
        """Close a trade: all its units, or as many as ``units``."""
        body = await body_object(request)
        units = close_units("units", body.get("units"), CloseAmount.ALL)
        if units is CloseAmount.NONE:
            raise invalid("units")
        account = self._context.account(request)
        specifier = request.path_params["trade"]
        trade = account.book.find_trade(specifier)
        outcome = account.close_trade(
            specifier,
            units,
            self._context.now(),
            request_id(request),
            conditions=closing_conditions(self._context, trade.instrument) if trade else NORMAL,
        )
        self._context.broker.commit()
        return JsonResponse(order_response_body(account, outcome, time_format(request)))

    async def set_orders(self, request: Request) -> Response:
        """Create, replace or cancel a trade's stop loss and take profit."""
        change = trade_orders(await body_object(request))
        account = self._context.account(request)
        try:
            outcome = account.set_trade_orders(
                request.path_params["trade"], change, self._context.now(), request_id(request)
            )
        except UnknownTradeError:
            raise _no_such_trade() from None
        self._context.broker.commit()
        return JsonResponse(_trade_orders_response_body(request, account, outcome))

    async def extensions(self, request: Request) -> Response:
        """Change an open trade's client extensions."""
        body = await body_object(request)
        wanted = client_extensions("clientExtensions", body) or ClientExtensions()
        account = self._context.account(request)
        try:
            outcome = account.set_trade_extensions(
                request.path_params["trade"], wanted, self._context.now(), request_id(request)
            )
        except UnknownTradeError:
            raise _no_such_trade() from None
        self._context.broker.commit()
        return change_response(
            account, outcome, "tradeClientExtensionsModify", time_format(request)
        )

    def _list(self, request: Request, account: Account, trades: list[Trade]) -> Response:
        times = time_format(request)
        return JsonResponse(
            {
                "trades": [account_json.trade_details(account.book, t, times) for t in trades],
                "lastTransactionID": account.last_transaction_id,
            }
        )


def _trade_orders_response_body(
    request: Request, account: Account, outcome: TradeOrdersOutcome
) -> dict[str, Any]:
    times = time_format(request)
    body: dict[str, Any] = {}
    reason: RejectReason | None = None
    for name, part in (("takeProfit", outcome.take_profit), ("stopLoss", outcome.stop_loss)):
        made = {
            f"{name}OrderCancelTransaction": part.cancel,
            f"{name}OrderTransaction": part.create,
            f"{name}OrderFillTransaction": part.fill,
            f"{name}OrderRejectTransaction": part.reject,
        }
        body |= {field: encode(t, times) for field, t in made.items() if t is not None}
        if part.reject is not None:
            reason = RejectReason(body[f"{name}OrderRejectTransaction"]["rejectReason"])
    body["relatedTransactionIDs"] = list(outcome.related)
    body["lastTransactionID"] = account.last_transaction_id
    if reason is not None:
        raise ApiError(400, reason.text, reason, body)
    return body


def _no_such_trade() -> ApiError:
    return ApiError(404, "The trade specified does not exist.", "NO_SUCH_TRADE")
