"""The ASGI applications: the v20 API and the admin API."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from sep_paper_broker.broker import Broker
from sep_paper_broker.faults.registry import FaultRegistry
from sep_paper_broker.http.account_routes import AccountRoutes
from sep_paper_broker.http.admin_routes import AdminRoutes
from sep_paper_broker.http.candle_routes import CandleRoutes
from sep_paper_broker.http.connections import Connections
from sep_paper_broker.http.context import RouteContext
from sep_paper_broker.http.errors import (
    ApiError,
    handle_api_error,
    handle_http_error,
    handle_unexpected_error,
)
from sep_paper_broker.http.middleware import RequestMiddleware
from sep_paper_broker.http.order_routes import OrderRoutes
from sep_paper_broker.http.position_routes import PositionRoutes
from sep_paper_broker.http.pricing_routes import PricingRoutes
from sep_paper_broker.http.responses import JsonResponse
from sep_paper_broker.http.trade_routes import TradeRoutes
from sep_paper_broker.http.transaction_routes import TransactionRoutes
from sep_paper_broker.settings import Settings


def build_application(
    broker: Broker, settings: Settings, faults: FaultRegistry, connections: Connections
) -> ASGIApp:
    """The v20 API; includes the admin API if it is on and has no separate port."""
    context = RouteContext(broker, settings, faults, connections)
    v3: list[BaseRoute] = [
        *AccountRoutes(context).routes(),
        *OrderRoutes(context).routes(),
        *TradeRoutes(context).routes(),
        *PositionRoutes(context).routes(),
        *PricingRoutes(context).routes(),
        *CandleRoutes(context).routes(),
        *TransactionRoutes(context).routes(),
    ]
    routes: list[BaseRoute] = [_health(broker), Mount("/v3", routes=v3)]
    if settings.admin and settings.admin_port is None:
        routes += AdminRoutes(broker, faults).routes()
    return RequestMiddleware(
        _application(routes),
        token=settings.token,
        clock=broker.clock,
        faults=faults,
        connections=connections,
    )


def build_admin_application(
    broker: Broker, settings: Settings, faults: FaultRegistry, connections: Connections
) -> ASGIApp:
    """The admin API only."""
    return RequestMiddleware(
        _application([_health(broker), *AdminRoutes(broker, faults).routes()]),
        token=settings.token,
        clock=broker.clock,
        faults=faults,
        connections=connections,
    )


def _health(broker: Broker) -> Route:
    async def health(_: Request) -> Response:
        """Price the market and value the account; a failure is a 500."""
        broker.advance()
        nav = broker.account.valuation().nav
        return JsonResponse({"status": "ok", "NAV": format(nav, "f")})

    return Route("/healthz", health)


def _application(routes: list[BaseRoute]) -> ASGIApp:
    return Starlette(
        routes=routes,
        exception_handlers={
            ApiError: handle_api_error,
            HTTPException: handle_http_error,
            Exception: handle_unexpected_error,
        },
    )
