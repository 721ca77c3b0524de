"""Fixtures: a paper broker on port 0 with a manual clock, and an account without a market."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import pytest
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339
from sep_paper_broker.account.account import Account
from sep_paper_broker.account.book import AccountProfile
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.app import RunningBroker, serve_paper_broker
from sep_paper_broker.market.instruments import INSTRUMENTS
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.settings import Settings

# A Wednesday noon in London's and New York's summer: every market is open.
NOON = parse_rfc3339("2025-06-18T12:00:00Z")
ACCOUNT = "101-001-0000001-001"


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now_ns: int = NOON) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def move(self, seconds: float) -> None:
        """Advance the clock."""
        self.now_ns += int(seconds * NS_PER_SECOND)


class Client:
    """An authorised HTTP client of one account."""

    def __init__(self, running: RunningBroker, http: httpx.AsyncClient) -> None:
        self.running = running
        self.http = http
        self.home = f"/v3/accounts/{running.settings.account}"

    async def get(self, path: str, status: int = 200, **params: Any) -> Any:
        """The JSON of a response that must have the status."""
        return self._json(await self.http.get(self._path(path), params=params), status)

    async def put(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self._json(await self.http.put(self._path(path), json=body), status)

    async def post(self, path: str, body: Any, status: int = 201) -> Any:
        return self._json(await self.http.post(self._path(path), json=body), status)

    async def order(self, units: int | str, status: int = 201, **fields: Any) -> Any:
        """A market order, in EUR_USD unless another instrument is given."""
        order = {"type": "MARKET", "instrument": "EUR_USD", "units": str(units), **fields}
        return await self.post("/orders", {"order": order}, status)

    async def price(self, instrument: str = "EUR_USD") -> tuple[Decimal, Decimal]:
        """Closeout bid and ask."""
        (price,) = (await self.get("/pricing", instruments=instrument))["prices"]
        return Decimal(price["closeoutBid"]), Decimal(price["closeoutAsk"])

    async def fault(self, **description: Any) -> Any:
        """Add a fault."""
        response = await self.http.post(f"{self.running.admin_url}/admin/faults", json=description)
        assert response.status_code == 201, response.text
        return response.json()

    def _path(self, path: str) -> str:
        return path if path.startswith("/v3") else self.home + path

    def _json(self, response: httpx.Response, status: int) -> Any:
        assert response.status_code == status, response.text
        assert response.headers["RequestID"]
        return response.json()


Serve = Callable[..., AbstractAsyncContextManager[Client]]
Body = TypeVar("Body")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def serve(clock: ManualClock) -> Serve:
    """``async with serve(seed=1) as client``: a broker with those settings."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[Client]:
        settings = replace(Settings(token="secret", admin=True, poll_seconds=0.02), **changes)
        async with serve_paper_broker(settings, clock=clock) as running:
            headers = {"Authorization": "Bearer secret"}
            # Plain HTTP: reading the system's certificates would take longer than the test.
            async with httpx.AsyncClient(
                base_url=running.url, headers=headers, verify=False, timeout=30
            ) as http:
                yield Client(running, http)

    return start


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[Client]:
    async with serve() as started:
        yield started


class AccountHarness:
    """An account that tests feed with quotes, without a market or HTTP."""

    def __init__(self, balance: str = "100000") -> None:
        self.now = NOON
        profile = AccountProfile(ACCOUNT, "USD", NOON)
        self.account = Account.open(profile, INSTRUMENTS, Decimal(balance))
        self.quote("EUR_USD", "1.10000", "1.10010")
        self.quote("USD_JPY", "150.000", "150.010")

    def quote(
        self, instrument: str, bid: str, ask: str, *, tradeable: bool = True
    ) -> list[Transaction]:
        """Observe a quote one second later. Returns the transactions it created."""
        self.now += NS_PER_SECOND
        quote = Quote(
            instrument=instrument,
            time_ns=self.now,
            bid=Decimal(bid),
            ask=Decimal(ask),
            tradeable=tradeable,
        )
        return self.account.observe([quote])


def body_of(transaction: Transaction | None, kind: type[Body]) -> Body:
    """The body of a transaction; fails if it is absent or of another kind."""
    assert transaction is not None
    assert isinstance(transaction.body, kind)
    return transaction.body


@pytest.fixture
def harness() -> AccountHarness:
    return AccountHarness()
