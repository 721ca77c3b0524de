"""Routes of orders: create, read, cancel."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sep_paper_broker.account.account import Account
from sep_paper_broker.codec import TimeFormat, encode
from sep_paper_broker.http.context import RouteContext, request_id
from sep_paper_broker.http.errors import ApiError, invalid
from sep_paper_broker.http.order_conditions import opening_conditions
from sep_paper_broker.http.paging import newest_first
from sep_paper_broker.http.params import body_object, time_format
from sep_paper_broker.http.request_bodies import client_extensions, market_order
from sep_paper_broker.http.responses import JsonResponse
from sep_paper_broker.orders.order import OrderState
from sep_paper_broker.orders.outcomes import ChangeOutcome, OrderOutcome
from sep_paper_broker.orders.reasons import RejectReason
from sep_paper_broker.orders.requests import MarketOrderRequest

_STATES = {"ALL": frozenset(OrderState), **{s.value: frozenset({s}) for s in OrderState}}


class OrderRoutes:
    """Routes of orders."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes, below ``/v3``."""
        orders = "/accounts/{account}/orders"
        return [
            Route(orders, self.create, methods=["POST"]),
            Route(orders, self.listing),
            Route("/accounts/{account}/pendingOrders", self.pending),
            Route(f"{orders}/{{order}}", self.details),
            Route(f"{orders}/{{order}}", self.replace, methods=["PUT"]),
            Route(f"{orders}/{{order}}/cancel", self.cancel, methods=["PUT"]),
            Route(f"{orders}/{{order}}/clientExtensions", self.extensions, methods=["PUT"]),
        ]

    async def create(self, request: Request) -> Response:
        """Create a market order; 201 means accepted, not filled."""
        wanted = market_order(await body_object(request))
        account = self._context.account(request)
        outcome = account.submit(
            wanted,
            self._context.now(),
            request_id(request),
            conditions=opening_conditions(
                self._context, wanted.instrument, guaranteed=_is_guaranteed(wanted)
            ),
        )
        self._context.broker.commit()
        if outcome.create is not None:
            self._context.faults.order_created(outcome.create.id, self._context.broker.clock())
        body = order_response_body(account, outcome, time_format(request))
        path = request.url.path.rstrip("/")
        location = f"{path}/{outcome.create.id}" if outcome.create else path
        return JsonResponse(body, 201, headers={"Location": location})

    async def listing(self, request: Request) -> Response:
        """Orders in a state, newest first; pending ones by default."""
        account = self._context.account(request)
        book = account.book
        states = _STATES.get(request.query_params.get("state", "PENDING"))
        if states is None:
            raise invalid("state")
        instrument = request.query_params.get("instrument")
        orders = [
            order
            for order in book.orders.values()
            if order.state in states
            and (instrument is None or book.instrument_of(order) == instrument)
            and not self._context.faults.hides(order.id, self._context.broker.clock())
        ]
        return self._list(request, account, newest_first(request, orders))

    async def pending(self, request: Request) -> Response:
        """All pending orders, newest first."""
        account = self._context.view(request)
        return self._list(request, account, account.book.pending_orders()[::-1])

    async def details(self, request: Request) -> Response:
        """One order, by id or ``@`` and client id."""
        account = self._context.account(request)
        order = account.book.find_order(request.path_params["order"])
        if order is None or self._context.faults.hides(order.id, self._context.broker.clock()):
            raise ApiError(404, "The order specified does not exist.", "NO_SUCH_ORDER")
        return JsonResponse(
            {
                "order": encode(order, time_format(request)),
                "lastTransactionID": account.last_transaction_id,
            }
        )

    async def replace(self, request: Request) -> Response:
        """Not supported: stop losses and take profits are replaced through their trade."""
        self._context.account(request)
        raise ApiError(
            400, "Replacing orders is not supported: set the trade's orders through the trade"
        )

    async def cancel(self, request: Request) -> Response:
        """Cancel a pending order."""
        account = self._context.account(request)
        outcome = account.cancel_order(
            request.path_params["order"], self._context.now(), request_id(request)
        )
        self._context.broker.commit()
        return change_response(account, outcome, "orderCancel", time_format(request))

    async def extensions(self, request: Request) -> Response:
        """Change a pending order's client extensions."""
        body = await body_object(request)
        account = self._context.account(request)
        outcome = account.set_order_extensions(
            request.path_params["order"],
            client_extensions("clientExtensions", body),
            client_extensions("tradeClientExtensions", body),
            self._context.now(),
            request_id(request),
        )
        self._context.broker.commit()
        return change_response(
            account, outcome, "orderClientExtensionsModify", time_format(request)
        )

    def _list(self, request: Request, account: Account, orders: list[Any]) -> Response:
        return JsonResponse(
            {
                "orders": encode(orders, time_format(request)),
                "lastTransactionID": account.last_transaction_id,
            }
        )


def _is_guaranteed(wanted: MarketOrderRequest) -> bool:
    return wanted.stop_loss_on_fill is not None and wanted.stop_loss_on_fill.guaranteed


def order_response_body(
    account: Account, outcome: OrderOutcome, times: TimeFormat
) -> dict[str, Any]:
    """The response body of a market order.

    Raises:
        ApiError: the order was rejected: 404 if its trade does not exist, else 400.
    """
    common = {
        "relatedTransactionIDs": list(outcome.related),
        "lastTransactionID": account.last_transaction_id,
    }
    if outcome.reject is not None:
        reject = encode(outcome.reject, times)
        reason = RejectReason(reject["rejectReason"])
        status = 404 if reason is RejectReason.TRADE_DOESNT_EXIST else 400
        raise ApiError(status, reason.text, reason, {"orderRejectTransaction": reject, **common})
    parts = {"Create": outcome.create, "Fill": outcome.fill, "Cancel": outcome.cancel}
    made = {
        f"order{part}Transaction": encode(transaction, times)
        for part, transaction in parts.items()
        if transaction is not None
    }
    return {**made, **common}


def change_response(
    account: Account, outcome: ChangeOutcome, name: str, times: TimeFormat
) -> Response:
    """The response to a request that creates one transaction.

    Raises:
        ApiError: the request was rejected: 404 if its order or trade does not exist, else 400.
    """
    common = {
        "relatedTransactionIDs": list(outcome.related),
        "lastTransactionID": account.last_transaction_id,
    }
    if outcome.reject is not None:
        reject = encode(outcome.reject, times)
        reason = RejectReason(reject["rejectReason"])
        missing = (RejectReason.ORDER_DOESNT_EXIST, RejectReason.TRADE_DOESNT_EXIST)
        more = {f"{name}RejectTransaction": reject, **common}
        raise ApiError(404 if reason in missing else 400, reason.text, reason, more)
    return JsonResponse({f"{name}Transaction": encode(outcome.done, times), **common})
