"""Routes of the account: details, summary, instruments, changes, configuration."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sep_paper_broker.codec import encode
from sep_paper_broker.http import account_json
from sep_paper_broker.http.account_changes import changes_since
from sep_paper_broker.http.context import RouteContext, request_id
from sep_paper_broker.http.errors import ApiError
from sep_paper_broker.http.params import (
    body_object,
    decimal,
    known_instruments,
    query_list,
    required_id,
    text_or_none,
    time_format,
)
from sep_paper_broker.http.responses import JsonResponse
from sep_paper_broker.market.instruments import LISTINGS


class AccountRoutes:
    """Routes of the account."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes, below ``/v3``."""
        one = "/accounts/{account}"
        return [
            Route("/accounts", self.listing),
            Route(one, self.details),
            Route(f"{one}/summary", self.summary),
            Route(f"{one}/instruments", self.instruments),
            Route(f"{one}/changes", self.changes),
            Route(f"{one}/configuration", self.configure, methods=["PATCH"]),
        ]

    async def listing(self, request: Request) -> Response:
        """The accounts of the token; always one."""
        profile = self._context.broker.account.book.profile
        listed: dict[str, object] = {"id": profile.id, "tags": []}
        if profile.mt4_account_id is not None:
            listed["mt4AccountID"] = profile.mt4_account_id
        return JsonResponse({"accounts": [listed]})

    async def details(self, request: Request) -> Response:
        """The account with its trades, positions and orders."""
        account = self._context.view(request)
        return JsonResponse(
            {
                "account": self._with_stop_mode(
                    account_json.account_details(account, time_format(request))
                ),
                "lastTransactionID": account.last_transaction_id,
            }
        )

    async def summary(self, request: Request) -> Response:
        """The account without its trades, positions and orders."""
        account = self._context.view(request)
        return JsonResponse(
            {
                "account": self._with_stop_mode(
                    account_json.account_summary(account, time_format(request))
                ),
                "lastTransactionID": account.last_transaction_id,
            }
        )

    def _with_stop_mode(self, account: dict[str, Any]) -> dict[str, Any]:
        if self._context.faults.requires_guaranteed_stops:
            account["guaranteedStopLossOrderMode"] = "REQUIRED"
        return account

    async def instruments(self, request: Request) -> Response:
        """The tradeable instruments."""
        account = self._context.account(request)
        wanted = query_list(request, "instruments")
        listed = self._context.listed(LISTINGS)
        names = listed if wanted is None else known_instruments(wanted, listed)
        return JsonResponse(
            {
                "instruments": [account_json.instrument(LISTINGS[name]) for name in names],
                "lastTransactionID": account.last_transaction_id,
            }
        )

    async def changes(self, request: Request) -> Response:
        """Changes since a transaction, and the state that depends on prices."""
        account = self._context.account(request)
        since = required_id(request, "sinceTransactionID")
        if since > len(account.book.ledger):
            raise ApiError(416, "The transaction id specified is beyond the last one.")
        return JsonResponse(
            {
                "changes": changes_since(account, since, time_format(request)),
                "state": account_json.changes_state(account),
                "lastTransactionID": account.last_transaction_id,
            }
        )

    async def configure(self, request: Request) -> Response:
        """Change the alias or the margin rate."""
        body = await body_object(request)
        account = self._context.account(request)
        rate = body.get("marginRate")
        outcome = account.configure(
            text_or_none("alias", body.get("alias")),
            None if rate is None else decimal("marginRate", rate),
            self._context.now(),
            request_id(request),
        )
        self._context.broker.commit()
        times = time_format(request)
        last = {"lastTransactionID": account.last_transaction_id}
        if outcome.reject is not None:
            reject = encode(outcome.reject, times)
            raise ApiError(
                400,
                "The account configuration was rejected.",
                reject["rejectReason"],
                {"clientConfigureRejectTransaction": reject, **last},
            )
        return JsonResponse({"clientConfigureTransaction": encode(outcome.done, times), **last})
