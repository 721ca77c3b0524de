"""The guard, which makes decisions again, over gRPC."""

import grpc
from sep.guard.v1 import guard_pb2, guard_pb2_grpc
from sep_kit.errors import SepError
from sep_kit.grpc.client import call

from sep_journal.ports import MadeAgain, ResultDifference


class GuardDecisions:
    """Implements ``DecisionMaker``."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = guard_pb2_grpc.GuardServiceStub(channel)

    async def make_again(self, record: str) -> MadeAgain:
        """The decision of a record."""
        request = guard_pb2.RemakeDecisionRequest(record=record)
        try:
            remade = await call(self._stub.RemakeDecision, request, peer="guard")
        except SepError as error:
            # What is recorded is shown also while the guard is away.
            return MadeAgain(fault=f"{error.reason}: {error}")
        return MadeAgain(
            same=remade.same if remade.HasField("same") else None,
            result=remade.result,
            differences=[
                ResultDifference(name=d.name, recorded=d.recorded, remade=d.remade)
                for d in remade.differences
            ],
            fault=remade.fault,
        )
