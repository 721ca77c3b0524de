"""Routes of prices: current prices and the price stream."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sep_paper_broker.account.account import Account
from sep_paper_broker.codec import TimeFormat
from sep_paper_broker.faults.corruption import corrupt_price
from sep_paper_broker.http.context import RouteContext
from sep_paper_broker.http.errors import invalid
from sep_paper_broker.http.heartbeat import Heartbeat
from sep_paper_broker.http.params import (
    known_instruments,
    query_flag,
    query_instant,
    query_list,
    time_format,
)
from sep_paper_broker.http.price_json import home_conversion, price
from sep_paper_broker.http.responses import JsonResponse, dump
from sep_paper_broker.http.streaming import streaming_response
from sep_paper_broker.market.quote import Quote


class PricingRoutes:
    """Routes of prices."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes, below ``/v3``."""
        return [
            Route("/accounts/{account}/pricing", self.prices),
            Route("/accounts/{account}/pricing/stream", self.stream),
        ]

    async def prices(self, request: Request) -> Response:
        """The current prices of instruments, on request with home conversions."""
        account = self._context.account(request)
        names = self._names(request)
        since = query_instant(request, "since")
        times = time_format(request)
        with_units = query_flag(request, "includeUnitsAvailable", default=False)
        quotes = [q for name in names if (q := self._context.broker.quote(name)) is not None]
        body: dict[str, Any] = {
            "prices": [
                self._price_json(account, quote, times, with_units=with_units)
                for quote in quotes
                if since is None or quote.time_ns > since
            ],
            "time": times.write(self._context.now()),
        }
        if query_flag(request, "includeHomeConversions", default=False):
            currencies = sorted({currency for name in names for currency in name.split("_")})
            body["homeConversions"] = [home_conversion(account.book, c) for c in currencies]
        return JsonResponse(body)

    async def stream(self, request: Request) -> Response:
        """A stream of JSON lines: a snapshot, then new prices and heartbeats."""
        account = self._context.account(request)
        names = self._names(request)
        snapshot = query_flag(request, "snapshot", default=True)
        lines = self._lines(account, names, time_format(request), snapshot=snapshot)
        return streaming_response(self._context, request, lines)

    async def _lines(
        self, account: Account, names: list[str], times: TimeFormat, *, snapshot: bool
    ) -> AsyncIterator[list[bytes]]:
        broker, settings = self._context.broker, self._context.settings
        heartbeat = Heartbeat(settings.heartbeat_seconds, self._context.faults)
        sent: dict[str, Quote | None] = {}
        if not snapshot:
            sent = {name: broker.quote(name) for name in names}
        while not broker.closed:
            broker.advance()
            lines = []
            for name in names:
                quote = broker.quote(name)
                if quote is not None and quote != sent.get(name):
                    sent[name] = quote
                    lines.append(dump(self._price_json(account, quote, times)))
            beat = {"type": "HEARTBEAT", "time": times.write(broker.clock())}
            yield lines + [dump(beat)] * heartbeat.due()
            # Prices change once a second; polling more often reduces their age on arrival.
            await broker.pause(settings.poll_seconds)

    def _price_json(
        self, account: Account, quote: Quote, times: TimeFormat, *, with_units: bool = False
    ) -> dict[str, Any]:
        shape = price(account.book, quote, times, with_units=with_units)
        fault = self._context.faults.take_price_fault(quote.instrument)
        return shape if fault is None else corrupt_price(shape, fault.value)

    def _names(self, request: Request) -> list[str]:
        names = query_list(request, "instruments")
        if names is None:
            raise invalid("instruments")
        return known_instruments(
            names, self._context.listed(self._context.broker.market.instruments)
        )
