"""Live prices from the gateway."""

from collections.abc import Sequence
from decimal import Decimal

import grpc
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep_kit.grpc.client import call

from sep_evaluator.domain.live_price import LivePrice


class GatewayPrices:
    """Fetches prices over gRPC; implements ``PriceSource``."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = gateway_pb2_grpc.GatewayServiceStub(channel)

    async def prices(self, instruments: Sequence[str]) -> list[LivePrice]:
        """Tradeable prices; instruments without one are left out.

        Raises:
            PeerUnavailableError: the gateway does not answer.
            RemoteError: the gateway returned an error, e.g. because the broker does not answer.
        """
        response = await call(
            self._stub.GetPricing,
            gateway_pb2.GetPricingRequest(instruments=instruments),
            peer="gateway",
        )
        return [
            LivePrice(
                instrument=p.instrument, ts_ms=int(p.ts_ms), bid=Decimal(p.bid), ask=Decimal(p.ask)
            )
            for p in response.prices
            if p.tradeable and p.bid and p.ask
        ]
