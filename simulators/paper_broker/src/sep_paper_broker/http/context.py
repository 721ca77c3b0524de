"""Dependencies shared by the route classes."""

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request

from sep_paper_broker.account.account import Account
from sep_paper_broker.broker import Broker
from sep_paper_broker.faults.registry import FaultRegistry
from sep_paper_broker.http.connections import Connections
from sep_paper_broker.http.errors import ApiError
from sep_paper_broker.settings import Settings


@dataclass(frozen=True, slots=True)
class RouteContext:
    """The broker, its settings, faults and connections."""

    broker: Broker
    settings: Settings
    faults: FaultRegistry
    connections: Connections

    def account(self, request: Request) -> Account:
        """The account of the path, advanced to now.

        Raises:
            ApiError: 404, the account does not exist.
        """
        account = self.broker.account
        if request.path_params["account"] != account.book.profile.id:
            raise ApiError(404, "The account specified does not exist.", "NO_SUCH_ACCOUNT")
        self.broker.advance()
        return account

    def view(self, request: Request) -> Account:
        """The account of the path as a read sees it; faults may delay what it shows.

        Raises:
            ApiError: 404, the account does not exist.
        """
        self.account(request)
        return self.broker.view(request.url.path)

    def listed(self, instruments: Iterable[str]) -> list[str]:
        """The instruments that are not delisted, sorted."""
        return sorted(set(instruments) - self.broker.delisted)

    def now(self) -> int:
        """The broker's time in nanoseconds; advances the account."""
        return self.broker.advance()


def request_id(request: Request) -> str:
    """The id of the request, as in the response header ``RequestID``."""
    found: str = request.state.request_id
    return found
