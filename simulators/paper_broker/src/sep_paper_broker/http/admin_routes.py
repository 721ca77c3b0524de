"""/admin/faults: list, add and remove faults. Loopback clients with the token only."""

import dataclasses
import ipaddress
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sep_paper_broker.broker import Broker
from sep_paper_broker.faults.kinds import Fault
from sep_paper_broker.faults.registry import FaultRegistry, InvalidFaultError
from sep_paper_broker.http.errors import ApiError
from sep_paper_broker.http.params import body_object
from sep_paper_broker.http.responses import JsonResponse


class AdminRoutes:
    """Routes of the active faults."""

    def __init__(self, broker: Broker, faults: FaultRegistry) -> None:
        self._broker = broker
        self._faults = faults

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/admin/faults", self.listing),
            Route("/admin/faults", self.add, methods=["POST"]),
            Route("/admin/faults", self.clear, methods=["DELETE"]),
            Route("/admin/faults/{fault:int}", self.remove, methods=["DELETE"]),
        ]

    async def listing(self, request: Request) -> Response:
        """All active faults."""
        _require_loopback(request)
        return JsonResponse({"faults": [_fault_json(fault) for fault in self._faults.faults]})

    async def add(self, request: Request) -> Response:
        """Add a fault."""
        _require_loopback(request)
        try:
            fault = self._faults.add(await body_object(request))
        except InvalidFaultError as error:
            raise ApiError(400, str(error)) from None
        self._apply()
        return JsonResponse(_fault_json(fault), 201)

    async def clear(self, request: Request) -> Response:
        """Remove all faults."""
        _require_loopback(request)
        self._faults.clear()
        self._apply()
        return JsonResponse({"faults": []})

    async def remove(self, request: Request) -> Response:
        """Remove one fault."""
        _require_loopback(request)
        if not self._faults.remove(request.path_params["fault"]):
            raise ApiError(404, "The fault specified does not exist.")
        self._apply()
        return JsonResponse({"faults": [_fault_json(fault) for fault in self._faults.faults]})

    def _apply(self) -> None:
        """Pass halted and delisted instruments to the broker, and apply account faults."""
        self._broker.delisted = self._faults.delisted(self._broker.market.instruments)
        self._broker.halted = self._faults.halted(self._broker.market.instruments)
        self._broker.advance()


def _require_loopback(request: Request) -> None:
    host = request.client.host if request.client else ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise ApiError(404, "The specified resource does not exist.")


def _fault_json(fault: Fault) -> dict[str, object]:
    return {
        name: format(item, "f") if isinstance(item, Decimal) else item
        for name, item in dataclasses.asdict(fault).items()
        if item is not None
    }
