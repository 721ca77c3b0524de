"""Puts a pending engage into force in the gateway, which sends the orders."""

import grpc
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep_kit.grpc.client import call
from sep_kit.store.records import KillSwitchChange

# A caller waits for its engage meanwhile; a call that fails is repeated.
_DEADLINE_S = 0.3


class GatewayKillSwitch:
    """The gateway's own kill switch."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = gateway_pb2_grpc.GatewayServiceStub(channel)

    async def engage(self, change: KillSwitchChange) -> None:
        """Engage it.

        Raises:
            RemoteError, PeerUnavailableError: the gateway did not do it.
        """
        request = gateway_pb2.EngageKillSwitchRequest(
            reason=change.reason[:500], actor=change.actor[:100], ts_ms=change.ts
        )
        await call(self._stub.EngageKillSwitch, request, peer="gateway", deadline_s=_DEADLINE_S)
