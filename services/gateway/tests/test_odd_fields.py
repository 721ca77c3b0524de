"""Any field of the broker's answers may be odd: one that decisions need is named, others cost
nothing but themselves."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep.gateway.v1 import gateway_pb2 as pb
from sep_gateway.adapters.oanda import parse, parse_account, parse_transactions
from sep_gateway.adapters.oanda.failures import NoResponseError
from sep_gateway.convert import account_message, position_message, trade_message
from sep_kit.errors import SepError
from sep_kit.store.connection import Valkey
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually

from .orders import open_trades, place
from .test_one_bad_member import named_in_status

TIME = "2026-03-04T12:00:00.000000000Z"
ABSENT = object()
ODD = st.one_of(
    st.just(ABSENT),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(), st.integers(), max_size=2),
    st.sampled_from(["NaN", "Infinity", "-1", "1e999999999", "9" * 5000, "1_000", " 1", "\u0661"]),
)
"""Anything but what belongs there, and now and then that."""

NEEDED = (
    "id", "currency", "balance", "NAV", "marginUsed", "marginAvailable",
)  # fmt: skip
SAYS_THE_KIND = ("hedgingEnabled", "guaranteedStopLossOrderMode", "marginRate")
DECIDES_NOTHING = (
    "unrealizedPL", "pl", "positionValue", "openTradeCount", "openPositionCount",
    "pendingOrderCount", "commission", "financing", "resettablePL", "withdrawalLimit",
    "marginCloseoutPercent", "marginCallPercent", "createdTime", "alias",
    "lastOrderFillTimestamp",
)  # fmt: skip
ACCOUNT: dict[str, Any] = {
    "id": "101-001-0000001-001", "currency": "USD", "balance": "100000", "NAV": "100000",
    "unrealizedPL": "0", "pl": "0", "marginUsed": "20000", "marginAvailable": "80000",
    "positionValue": "400000", "marginCloseoutPercent": "0.1", "openTradeCount": 1,
    "openPositionCount": 1, "pendingOrderCount": 2, "hedgingEnabled": False,
    "guaranteedStopLossOrderMode": "DISABLED", "marginRate": "0.02", "commission": "0",
}  # fmt: skip
TRADE: dict[str, Any] = {
    "id": "7", "instrument": "EUR_USD", "price": "1.1", "currentUnits": "-5", "initialUnits": "-9",
    "unrealizedPL": "0", "openTime": TIME, "financing": "0", "marginUsed": "1", "state": "OPEN",
    "clientExtensions": {"id": "an-order-1", "tag": "sep"},
    "stopLossOrder": {"price": "1.2", "state": "PENDING"},
    "takeProfitOrder": {"price": "1.0", "state": "PENDING"},
}  # fmt: skip
POSITION: dict[str, Any] = {
    "instrument": "EUR_USD", "unrealizedPL": "0", "marginUsed": "1", "pl": "0", "commission": "0",
    "long": {"units": "5", "averagePrice": "1.1"}, "short": {"units": "0"},
}  # fmt: skip
FILL: dict[str, Any] = {
    "id": "5", "type": "ORDER_FILL", "time": TIME, "units": "9", "instrument": "EUR_USD",
    "accountBalance": "1", "pl": "0", "lossQuoteHomeConversionFactor": "1", "orderID": "4",
    "tradeOpened": {"tradeID": "5", "units": "9", "price": "1.1"},
}  # fmt: skip


def changed(entry: dict[str, Any], field: str, value: object) -> dict[str, Any]:
    rest = {name: kept for name, kept in entry.items() if name != field}
    return rest if value is ABSENT else {**rest, field: value}


def read_account(account: dict[str, Any]) -> Any:
    with parse.parsing("summary"):
        return parse_account.account_summary({"account": account, "lastTransactionID": "7"})


@given(st.sampled_from(DECIDES_NOTHING), ODD)
def test_account_is_read_whatever_is_in_a_field_that_decides_nothing(
    field: str, value: object
) -> None:
    found = read_account(changed(ACCOUNT, field, value))
    sound = read_account(ACCOUNT)
    assert (found.nav, found.balance, found.margin_used) == (
        sound.nav, sound.balance, sound.margin_used,
    )  # fmt: skip
    assert not found.unknown
    assert all(member.name == field for member in found.odd)
    assert account_message(found, (), 0).nav == "100000"


@given(st.sampled_from(NEEDED), ODD)
def test_account_without_a_needed_field_is_refused_by_its_name(field: str, value: object) -> None:
    """It is read, or the error names the field: nothing is guessed."""
    found, refusal = None, ""
    try:
        found = read_account(changed(ACCOUNT, field, value))
    except NoResponseError as error:
        refusal = str(error)
    if found is None:
        assert field in refusal
    else:
        assert account_message(found, (), 0).currency
        assert isinstance(value, str)


@given(st.sampled_from(SAYS_THE_KIND), ODD)
def test_account_whose_kind_can_not_be_read_is_of_unknown_kind(field: str, value: object) -> None:
    found = read_account(changed(ACCOUNT, field, value))
    if found.unknown:
        assert found.unknown == (field,)
        assert [member.name for member in found.odd] == [field]
    else:
        optional = value is ABSENT and field != "hedgingEnabled"
        assert optional or isinstance(value, bool if field == "hedgingEnabled" else str)


@pytest.mark.parametrize("value", ["-1", "0", "NaN", "3", "1e30", None, "", True])
def test_closeout_percentage_that_is_none_is_made_from_margin_and_nav(value: object) -> None:
    found = read_account(changed(ACCOUNT, "marginCloseoutPercent", value))
    assert found.margin_closeout_percent == Decimal("0" if value == "0" else "0.1")


def read_trades(entry: dict[str, Any]) -> Any:
    other = {**TRADE, "id": "8", "instrument": "USD_JPY"}
    return parse.open_trades({"trades": [entry, other], "lastTransactionID": "9"})


EXTRA_OF_TRADE = ("price", "initialUnits", "unrealizedPL", "openTime", "financing", "marginUsed")


@given(st.sampled_from((*EXTRA_OF_TRADE, "realizedPL", "averageClosePrice")), ODD)
def test_trade_is_read_whatever_is_in_a_field_that_decides_nothing(
    field: str, value: object
) -> None:
    found = read_trades(changed(TRADE, field, value))
    assert [t.id for t in found.trades] == [7, 8]
    assert not found.left_out
    assert trade_message(found.trades[0]).current_units == "-5"


@given(st.sampled_from(sorted(TRADE)), ODD)
def test_odd_trade_leaves_the_others(field: str, value: object) -> None:
    found = read_trades(changed(TRADE, field, value))
    assert found.trades[-1].instrument == "USD_JPY" or found.trades[0].instrument == "USD_JPY"
    assert len(found.trades) + len(found.left_out) == 2
    for trade in found.trades:
        assert trade_message(trade).id


@given(st.sampled_from(["id", "tag"]), ODD)
def test_trade_is_not_taken_for_a_hand_trade_because_its_mark_can_not_be_read(
    field: str, value: object
) -> None:
    marked = {**TRADE, "clientExtensions": changed(TRADE["clientExtensions"], field, value)}
    found = read_trades(marked)
    if len(found.trades) == 2 and value is not ABSENT:
        assert isinstance(value, str)


@given(st.sampled_from(sorted(POSITION)), ODD)
def test_odd_position_leaves_the_others(field: str, value: object) -> None:
    other = {**POSITION, "instrument": "USD_JPY"}
    entries = [changed(POSITION, field, value), other]
    found = parse.positions({"positions": entries, "lastTransactionID": "9"})
    assert "USD_JPY" in {p.instrument for p in found.positions}
    assert len(found.positions) + len(found.left_out) == 2
    if field in ("unrealizedPL", "marginUsed", "pl", "commission"):
        assert not found.left_out
    for position in found.positions:
        assert position_message(position).instrument


@given(st.sampled_from(("accountBalance", "pl", "lossQuoteHomeConversionFactor", "price")), ODD)
def test_fill_counts_whatever_is_in_a_field_that_decides_nothing(field: str, value: object) -> None:
    (found,), left_out = parse_transactions.transactions([changed(FILL, field, value)])
    assert (found.type, found.units, found.details.fault) == ("ORDER_FILL", Decimal(9), "")
    assert not left_out


@given(st.sampled_from(sorted(FILL)), ODD)
def test_odd_transaction_leaves_the_others(field: str, value: object) -> None:
    other = {**FILL, "id": "6"}
    found, left_out = parse_transactions.transactions([changed(FILL, field, value), other])
    assert 6 in {t.id for t in found}
    assert len(found) == 2 or left_out


@given(ODD)
def test_only_true_is_tradeable(value: object) -> None:
    entry = {
        "instrument": "EUR_USD", "time": TIME, "bids": [{"price": "1.1"}],
        "asks": [{"price": "1.2"}],
    }  # fmt: skip
    assert parse.price(changed(entry, "tradeable", value)).tradeable is (value is True)


@given(ODD)
def test_newest_transaction_is_a_whole_number_of_at_most_eighteen_digits(value: object) -> None:
    response = changed({"lastTransactionID": "7"}, "lastTransactionID", value)
    text = "" if value is ABSENT or isinstance(value, bool) else str(value)
    if isinstance(value, int | str) and re.fullmatch("[0-9]{1,18}", text):
        assert parse.newest_transaction(response) == int(text)
    else:
        with pytest.raises(ValueError, match="lastTransactionID"):
            parse.newest_transaction(response)


# The same through the whole gateway, with the fields that the paper broker really sends.

ODD_JSON = ("null", '"NaN"', '"much"', '"1e999999999"', '"-7"', "{}", None)


def odd_account(broker: RunningBroker, field: str, value: str | None) -> Any:
    fault = {"kind": "odd_member", "path": "summary$", "members": "account", "field": field}
    return broker.faults.add(fault if value is None else {**fault, "json": value})


@pytest.mark.parametrize("field", DECIDES_NOTHING)
async def test_odd_field_of_the_account_that_decides_nothing_costs_nothing(
    gateway: Any, broker: RunningBroker, store: Valkey, field: str
) -> None:
    await eventually(gateway.serves)
    for number, value in enumerate(ODD_JSON):
        fault = odd_account(broker, field, value)
        found = await call(
            gateway.stub.GetAccount, pb.GetAccountRequest(), peer="gateway", deadline_s=30
        )
        assert (found.nav, list(found.unsupported_kinds)) == (found.balance, [])
        broker.faults.remove(fault.id)
        if number == 2 and field in ("unrealizedPL", "openTradeCount", "marginCloseoutPercent"):
            odd_account(broker, field, value)
            await eventually(lambda: named_in_status(store, "account field", field, "much"))
            assert (await gateway.metrics("sep_left_out"))[
                'sep_left_out{kind="account field"}'
            ] == 1  # fmt: skip
            broker.faults.clear()
    assert (await place(gateway, "an-order-1")).state == pb.ORDER_STATE_FILLED
    assert await gateway.serves()


@pytest.mark.parametrize("field", NEEDED)
async def test_odd_field_of_the_account_that_is_needed_is_named_and_the_heartbeat_says_so(
    gateway: Any, broker: RunningBroker, field: str
) -> None:
    await eventually(gateway.serves)
    odd_account(broker, field, "{}")
    with pytest.raises(SepError, match=field) as failure:
        await call(gateway.stub.GetAccount, pb.GetAccountRequest(), peer="gateway", deadline_s=30)
    assert failure.value.reason == "BROKER_UNAVAILABLE"
    broker.faults.clear()
    await eventually(gateway.serves)


@pytest.mark.parametrize("field", SAYS_THE_KIND)
async def test_odd_field_that_says_the_kind_stops_entries_by_its_name(
    gateway: Any, broker: RunningBroker, store: Valkey, field: str
) -> None:
    await eventually(gateway.serves)
    odd_account(broker, field, "{}")
    await eventually(lambda: named_in_status(store, "account field", field))
    with pytest.raises(SepError, match=field) as failure:
        await place(gateway, "an-order-1")
    assert failure.value.reason == "ACCOUNT_KIND"
    assert not (await open_trades(gateway)).trades
    broker.faults.clear()

    async def supported() -> bool:
        found = await call(gateway.stub.GetAccount, pb.GetAccountRequest(), peer="gateway")
        return not found.unsupported_kinds

    await eventually(supported)
    assert (await place(gateway, "an-order-2")).state == pb.ORDER_STATE_FILLED


Kind = tuple[str, str, str, Callable[[Any], Any]]
VIEWS: list[Kind] = [
    ("trades", "unrealizedPL", "ListOpenTrades", lambda r: r.trades),
    ("positions", "marginUsed", "ListPositions", lambda r: r.positions),
]


@pytest.mark.parametrize(("members", "field", "method", "of"), VIEWS)
async def test_odd_field_of_a_member_that_decides_nothing_is_empty_and_named(
    gateway: Any,
    broker: RunningBroker,
    store: Valkey,
    members: str,
    field: str,
    method: str,
    of: Callable[[Any], Any],
) -> None:
    for name, pair in (("an-order-1", "EUR_USD"), ("an-order-2", "USD_JPY")):
        await place(gateway, name, instrument=pair)
    request = getattr(pb, f"{method}Request")()
    for value in ODD_JSON[1:-1]:
        fault = broker.faults.add(
            {
                "kind": "odd_member", "members": members, "instrument": "USD_JPY",
                "field": field, "json": value,
            }
        )  # fmt: skip
        found = await call(getattr(gateway.stub, method), request, peer="gateway", deadline_s=30)
        assert {m.instrument for m in of(found)} == {"EUR_USD", "USD_JPY"}, json.loads(value)
        assert not found.left_out
        broker.faults.remove(fault.id)
    broker.faults.add(
        {
            "kind": "odd_member", "members": members, "instrument": "USD_JPY",
            "field": field, "text": "much",
        }
    )  # fmt: skip
    await call(getattr(gateway.stub, method), request, peer="gateway", deadline_s=30)
    await eventually(lambda: named_in_status(store, "field", field, "USD_JPY", "much"))


async def test_trade_whose_units_can_not_be_read_costs_its_instrument_alone(
    gateway: Any, broker: RunningBroker
) -> None:
    for name, pair in (("an-order-1", "EUR_USD"), ("an-order-2", "USD_JPY")):
        await place(gateway, name, instrument=pair)
    broker.faults.add(
        {
            "kind": "odd_member", "members": "trades", "instrument": "USD_JPY",
            "field": "currentUnits", "json": "null",
        }
    )  # fmt: skip
    found = await open_trades(gateway)
    assert [t.instrument for t in found.trades] == ["EUR_USD"]
    assert [m.instrument for m in found.left_out] == ["USD_JPY"]
