"""Views of the account include what the gateway knows to have happened."""

from typing import Any

import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_kit.errors import SepError
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually

from .orders import FILLED, admin_fault, open_trades, place, reason_of

VIEWS = [
    ("GetAccount", pb.GetAccountRequest),
    ("ListPositions", pb.ListPositionsRequest),
    ("ListOpenTrades", pb.ListOpenTradesRequest),
]


async def view(gateway: Any, method: str, request: Any) -> Any:
    return await call(getattr(gateway.stub, method), request, peer="gateway", deadline_s=30)


@pytest.mark.parametrize(("method", "request_"), VIEWS)
async def test_view_waits_for_an_own_fill(
    gateway: Any, broker: RunningBroker, method: str, request_: Any
) -> None:
    """Even for a caller that demands nothing: a view without it would order everything twice."""
    await admin_fault(broker, kind="stale_views", seconds=0.4)
    placed = await place(gateway, "an-order-1")
    assert placed.state == FILLED
    found = await view(gateway, method, request_())
    assert int(found.last_transaction_id) >= int(placed.last_transaction_id)
    if method == "ListOpenTrades":
        assert [t.client_id for t in found.trades] == ["an-order-1"]


@pytest.mark.parametrize(("method", "request_"), VIEWS)
async def test_view_that_stays_old_is_refused_where_a_minimum_is_demanded(
    gateway: Any, broker: RunningBroker, method: str, request_: Any
) -> None:
    await admin_fault(broker, kind="stale_views", seconds=30)
    placed = await place(gateway, "an-order-1")
    demanding = request_(min_transaction_id=placed.last_transaction_id)
    assert await reason_of(view(gateway, method, demanding)) == "VIEW_STALE"
    # What the gateway knows counts too, not only what the caller demands.
    older = request_(min_transaction_id=str(int(placed.last_transaction_id) - 1))
    assert await reason_of(view(gateway, method, older)) == "VIEW_STALE"
    # Without a minimum it is answered, with the transaction that it includes.
    found = await view(gateway, method, request_())
    assert int(found.last_transaction_id) < int(placed.last_transaction_id)
    stale = await gateway.metrics("sep_stale_views_total")
    assert sum(stale.values()) >= 3


async def test_view_waits_for_a_transaction_of_the_stream(
    gateway: Any, broker: RunningBroker
) -> None:
    """A stop that fills is known from the stream before the views show it."""
    placed = await place(gateway, "an-order-1")
    (trade,) = (await open_trades(gateway)).trades
    await admin_fault(broker, kind="stale_views", seconds=0.5)
    await admin_fault(broker, kind="margin_closeout")

    async def known() -> bool:
        metrics = await gateway.metrics("sep_newest_transaction")
        return bool(metrics["sep_newest_transaction"] > int(placed.last_transaction_id))

    await eventually(known)
    found = await open_trades(gateway, min_transaction_id=placed.last_transaction_id)
    assert trade.id not in {t.id for t in found.trades}


async def test_transaction_that_does_not_exist_is_demanded_for_seconds_only(gateway: Any) -> None:
    """A broker's answer that names a wrong id must not stop every read for ever."""
    placed = await place(gateway, "an-order-1")
    wrong = str(int(placed.last_transaction_id) + 1000)

    async def answered() -> bool:
        try:
            found = await open_trades(gateway, min_transaction_id=wrong)
        except SepError as error:
            return error.reason != "VIEW_STALE"
        return bool(found.last_transaction_id == placed.last_transaction_id)

    assert not await answered()
    await eventually(answered)
