"""Routes of positions: read and close."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sep_paper_broker.account.account import Account
from sep_paper_broker.codec import encode
from sep_paper_broker.http import account_json
from sep_paper_broker.http.context import RouteContext, request_id
from sep_paper_broker.http.errors import ApiError, invalid
from sep_paper_broker.http.order_conditions import closing_conditions
from sep_paper_broker.http.params import body_object, time_format
from sep_paper_broker.http.request_bodies import position_close
from sep_paper_broker.http.responses import JsonResponse
from sep_paper_broker.orders.reasons import RejectReason


class PositionRoutes:
    """Routes of positions."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes, below ``/v3``."""
        positions = "/accounts/{account}/positions"
        return [
            Route(positions, self.listing),
            Route("/accounts/{account}/openPositions", self.open),
            Route(f"{positions}/{{instrument}}", self.details),
            Route(f"{positions}/{{instrument}}/close", self.close, methods=["PUT"]),
        ]

    async def listing(self, request: Request) -> Response:
        """All positions the account has or had."""
        account = self._context.view(request)
        return self._list(account, account_json.known_positions(account.book))

    async def open(self, request: Request) -> Response:
        """Positions with open trades."""
        account = self._context.view(request)
        return self._list(account, account.book.instruments_held())

    async def details(self, request: Request) -> Response:
        """One position."""
        account = self._context.view(request)
        name = request.path_params["instrument"]
        if name not in account.book.instruments:
            raise invalid("instrument")
        if name not in account_json.known_positions(account.book):
            raise ApiError(404, "The position specified does not exist.", "NO_SUCH_POSITION")
        return JsonResponse(
            {
                "position": account_json.position(account.book, name),
                "lastTransactionID": account.last_transaction_id,
            }
        )

    async def close(self, request: Request) -> Response:
        """Close the long side, the short side or both."""
        long, short = position_close(await body_object(request))
        account = self._context.account(request)
        name = request.path_params["instrument"]
        if name not in account.book.instruments:
            raise invalid("instrument")
        outcome = account.close_position(
            name,
            self._context.now(),
            long=long,
            short=short,
            request_id=request_id(request),
            conditions=closing_conditions(self._context, name),
        )
        self._context.broker.commit()
        times = time_format(request)
        body: dict[str, object] = {}
        reasons = []
        for side, part in (("long", outcome.long), ("short", outcome.short)):
            if part is None:
                continue
            made = {
                f"{side}OrderCreateTransaction": part.create,
                f"{side}OrderFillTransaction": part.fill,
                f"{side}OrderCancelTransaction": part.cancel,
                f"{side}OrderRejectTransaction": part.reject,
            }
            shapes_made = {field: encode(t, times) for field, t in made.items() if t is not None}
            body |= shapes_made
            if part.reject is not None:
                reject = shapes_made[f"{side}OrderRejectTransaction"]
                reasons.append(RejectReason(reject["rejectReason"]))
        body["relatedTransactionIDs"] = list(outcome.related)
        body["lastTransactionID"] = account.last_transaction_id
        if reasons:
            missing = reasons[0] is RejectReason.CLOSEOUT_POSITION_DOESNT_EXIST
            raise ApiError(404 if missing else 400, reasons[0].text, reasons[0], body)
        return JsonResponse(body)

    @staticmethod
    def _list(account: Account, names: list[str]) -> Response:
        return JsonResponse(
            {
                "positions": [account_json.position(account.book, name) for name in names],
                "lastTransactionID": account.last_transaction_id,
            }
        )
