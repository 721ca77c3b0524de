"""Routes of transactions: pages, ranges, since an id, and the stream."""

from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sep_paper_broker.account.account import Account
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.codec import TimeFormat, encode
from sep_paper_broker.http.context import RouteContext
from sep_paper_broker.http.errors import ApiError, invalid
from sep_paper_broker.http.heartbeat import Heartbeat
from sep_paper_broker.http.params import (
    query_count,
    query_instant,
    query_list,
    required_id,
    time_format,
)
from sep_paper_broker.http.responses import JsonResponse, dump
from sep_paper_broker.http.streaming import streaming_response

_DEFAULT_PAGE, _MAX_PAGE = 100, 1000
_GROUPS = {
    "ORDER": ("MARKET_ORDER", "STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER", "ORDER_"),
    "FUNDING": ("TRANSFER_FUNDS",),
    "ADMIN": ("CREATE", "CLIENT_CONFIGURE"),
}


class TransactionRoutes:
    """Routes of transactions."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes, below ``/v3``; fixed paths come before the one with an id."""
        transactions = "/accounts/{account}/transactions"
        return [
            Route(transactions, self.pages),
            Route(f"{transactions}/idrange", self.range),
            Route(f"{transactions}/sinceid", self.since),
            Route(f"{transactions}/stream", self.stream),
            Route(f"{transactions}/{{transaction}}", self.details),
        ]

    async def pages(self, request: Request) -> Response:
        """URLs of the pages of transactions in a time range."""
        account = self._context.account(request)
        now = self._context.now()
        times = time_format(request)
        begin = query_instant(request, "from")
        begin = account.book.profile.created_time if begin is None else begin
        end = query_instant(request, "to")
        end = now if end is None else end
        size = query_count(request, "pageSize") or _DEFAULT_PAGE
        if size > _MAX_PAGE:
            raise invalid("pageSize", f"It must be at most {_MAX_PAGE}")
        kinds = query_list(request, "type")
        chosen = [
            int(t.id)
            for t in _of_kinds(account.book.ledger.transactions, kinds)
            if begin <= t.time <= end
        ]
        base = str(request.url.replace(query=None)).rstrip("/")
        suffix = f"&type={','.join(kinds)}" if kinds else ""
        cuts = [chosen[i : i + size] for i in range(0, len(chosen), size)]
        pages = [f"{base}/idrange?from={cut[0]}&to={cut[-1]}{suffix}" for cut in cuts]
        return JsonResponse(
            {
                "from": times.write(begin),
                "to": times.write(end),
                "pageSize": size,
                **({"type": kinds} if kinds else {}),
                "count": len(chosen),
                "pages": pages,
                "lastTransactionID": account.last_transaction_id,
            }
        )

    async def details(self, request: Request) -> Response:
        """One transaction."""
        account = self._context.account(request)
        found = account.book.ledger.find(request.path_params["transaction"])
        if found is None:
            raise ApiError(404, "The transaction specified does not exist.", "NO_SUCH_TRANSACTION")
        return JsonResponse(
            {
                "transaction": encode(found, time_format(request)),
                "lastTransactionID": account.last_transaction_id,
            }
        )

    async def range(self, request: Request) -> Response:
        """The transactions of an inclusive range of ids."""
        account = self._context.account(request)
        first, last = required_id(request, "from"), required_id(request, "to")
        if first > last:
            raise invalid("from", "It must not be above 'to'")
        if first < 1 or last > len(account.book.ledger):
            raise ApiError(416, "The range of transaction ids is beyond the last one.")
        return self._list(request, account, account.book.ledger.transactions[first - 1 : last])

    async def since(self, request: Request) -> Response:
        """The transactions after an id."""
        account = self._context.account(request)
        after = required_id(request, "id")
        if after > len(account.book.ledger):
            raise ApiError(416, "The transaction id specified is beyond the last one.")
        return self._list(request, account, account.book.ledger.since(after))

    async def stream(self, request: Request) -> Response:
        """A stream of JSON lines: new transactions, and heartbeats with the last id."""
        account = self._context.account(request)
        lines = self._lines(account, time_format(request))
        return streaming_response(self._context, request, lines)

    async def _lines(self, account: Account, times: TimeFormat) -> AsyncIterator[list[bytes]]:
        broker, settings = self._context.broker, self._context.settings
        heartbeat = Heartbeat(settings.heartbeat_seconds, self._context.faults)
        sent = len(account.book.ledger)
        while not broker.closed:
            broker.advance()
            new = account.book.ledger.since(sent)
            sent = len(account.book.ledger)
            beat = {
                "type": "HEARTBEAT",
                "lastTransactionID": account.last_transaction_id,
                "time": times.write(broker.clock()),
            }
            yield [dump(encode(t, times)) for t in new] + [dump(beat)] * heartbeat.due()
            await broker.changed(settings.poll_seconds)

    def _list(
        self, request: Request, account: Account, transactions: Sequence[Transaction]
    ) -> Response:
        times = time_format(request)
        chosen = _of_kinds(transactions, query_list(request, "type"))
        return JsonResponse(
            {
                "transactions": [encode(t, times) for t in chosen],
                "lastTransactionID": account.last_transaction_id,
            }
        )


def _of_kinds(
    transactions: Sequence[Transaction], kinds: list[str] | None
) -> Sequence[Transaction]:
    """The transactions of the given types; ORDER, FUNDING and ADMIN are groups of types."""
    if not kinds:
        return transactions
    exact = set(kinds)
    prefixes = tuple(prefix for kind in kinds for prefix in _GROUPS.get(kind, ()))
    return [
        t
        for t in transactions
        if t.body.type in exact or (prefixes and t.body.type.startswith(prefixes))
    ]
