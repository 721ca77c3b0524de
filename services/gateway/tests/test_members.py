"""A member of a list that can't be read is left out and named; the others are read."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_gateway.adapters.oanda import parse, parse_account, parse_transactions
from sep_gateway.adapters.oanda.failures import NoResponseError
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.transactions import UNREADABLE

TIME = "2026-03-04T12:00:00.000000000Z"
LAST = {"lastTransactionID": "9"}


def instrument(name: str) -> dict[str, Any]:
    return {
        "name": name, "displayPrecision": 5, "tradeUnitsPrecision": 0, "minimumTradeSize": "1",
        "marginRate": "0.02", "maximumOrderUnits": "1000000",
    }  # fmt: skip


def position(name: str) -> dict[str, Any]:
    side = {"units": "1", "averagePrice": "1.1"}
    return {"instrument": name, "long": side, "short": {"units": "0"}, "unrealizedPL": "0"}


def trade(name: str) -> dict[str, Any]:
    return {
        "id": str(len(name)), "instrument": name, "price": "1.1", "currentUnits": "1",
        "initialUnits": "1", "unrealizedPL": "0", "openTime": TIME,
    }  # fmt: skip


def price(name: str) -> dict[str, Any]:
    return {
        "instrument": name, "time": TIME, "tradeable": True,
        "bids": [{"price": "1.1"}], "asks": [{"price": "1.2"}],
    }  # fmt: skip


def conversion(name: str) -> dict[str, Any]:
    return {"currency": name[:3], "accountGain": "1", "accountLoss": "1", "positionValue": "1"}


Parse = Callable[[list[Any]], tuple[Any, tuple[LeftOut, ...]]]


def _instruments(entries: list[Any]) -> tuple[Any, tuple[LeftOut, ...]]:
    found = parse.instruments({"instruments": entries})
    return found.instruments, found.left_out


def _positions(entries: list[Any]) -> tuple[Any, tuple[LeftOut, ...]]:
    found = parse.positions({"positions": entries, **LAST})
    return found.positions, found.left_out


def _trades(entries: list[Any]) -> tuple[Any, tuple[LeftOut, ...]]:
    found = parse.open_trades({"trades": entries, **LAST})
    return found.trades, found.left_out


def _prices(entries: list[Any]) -> tuple[Any, tuple[LeftOut, ...]]:
    found = parse.pricing({"prices": entries})
    return found.prices, found.left_out


def _conversions(entries: list[Any]) -> tuple[Any, tuple[LeftOut, ...]]:
    found = parse.pricing({"prices": [], "homeConversions": entries})
    return found.conversions, found.left_out


LISTS = [
    (_instruments, instrument, "marginRate"),
    (_positions, position, "long"),
    (_trades, trade, "currentUnits"),
    (_prices, price, "instrument"),
    (_conversions, conversion, "positionValue"),
]


@pytest.mark.parametrize(("read", "member", "field"), LISTS)
@pytest.mark.parametrize("value", [None, "", "0x", "NaN", {}, "absent"])
def test_one_bad_member_costs_only_itself(
    read: Parse, member: Callable[[str], dict[str, Any]], field: str, value: object
) -> None:
    bad = {**member("GBP_USD_1"[:7]), field: value}
    if value == "absent":
        del bad[field]
    if field == "instrument" and value != "absent":
        bad = None  # type: ignore[assignment]  # any text may be a name
    found, left_out = read([member("EUR_USD"), bad, member("USD_JPY")])
    assert len(found) == 2
    (named,) = left_out
    assert named.text


@pytest.mark.parametrize("rate", ["0", "-1"])
def test_instrument_without_a_margin_rate_is_left_out_by_name(rate: str) -> None:
    found, (left_out,) = _instruments(
        [instrument("EUR_USD"), {**instrument("NEW_USD"), "marginRate": rate}]
    )
    assert [i.name for i in found] == ["EUR_USD"]
    assert (left_out.kind, left_out.name) == ("instrument", "NEW_USD")
    assert "not above 0" in left_out.text


def test_left_out_trade_names_its_instrument() -> None:
    _, (left_out,) = _trades([{**trade("EUR_USD"), "currentUnits": "many"}])
    assert (left_out.name, left_out.instrument) == ("7", "EUR_USD")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON, st.sampled_from(LISTS))
def test_any_json_in_place_of_a_member_leaves_the_others(junk: Any, kind: Any) -> None:
    read, member, _ = kind
    found, left_out = read([member("EUR_USD"), junk, member("USD_JPY")])
    assert len(found) + len(left_out) == 3
    assert len(found) >= 2


@given(JSON)
def test_any_json_in_place_of_a_transaction_leaves_the_others(junk: Any) -> None:
    good = [{"id": str(n), "type": "DAILY_FINANCING", "time": TIME} for n in (1, 2)]
    found, left_out = parse_transactions.transactions([good[0], junk, good[1]])
    assert {t.id for t in found} >= {1, 2}
    assert len(found) == 3 or left_out


def test_transaction_with_a_legible_id_is_not_missing() -> None:
    bad = {"id": "5", "type": "ORDER_FILL", "units": "many", "time": TIME}
    (found,), (left_out,) = parse_transactions.transactions([bad])
    assert (found.id, found.type) == (5, UNREADABLE)
    assert found.details.fault
    assert left_out.name == "5"


@pytest.mark.parametrize("entries", [None, {}, "x"])
def test_answer_without_a_list_is_no_answer(entries: Any) -> None:
    for read in (_instruments, _positions, _trades, _prices):
        with pytest.raises(NoResponseError), parse.parsing("a list"):
            read(entries)


SUMMARY = {
    "id": "101-001-0000001-001", "currency": "USD", "balance": "100000", "NAV": "100000",
    "unrealizedPL": "0", "pl": "0", "marginUsed": "20000", "marginAvailable": "80000",
    "positionValue": "400000", "marginCloseoutPercent": "0.1", "openTradeCount": 1,
    "openPositionCount": 1, "hedgingEnabled": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "percent"),
    [
        ({}, "0.1"),
        ({"marginCloseoutPercent": "0.05"}, "0.05"),
        ({"marginCloseoutPercent": None}, "0.1"),
        ({"marginCloseoutPercent": "NaN", "NAV": "10000"}, "1"),
        ({"marginCloseoutPercent": "Infinity", "NAV": "0"}, "1"),
        ({"marginCloseoutPercent": "NaN", "NAV": "0", "marginUsed": "0"}, "0"),
    ],
)
def test_a_closeout_percentage_that_can_not_be_read_is_made_from_margin_and_nav(
    changed: dict[str, Any], percent: str
) -> None:
    """An account near zero is when exits are needed: its view must not be lost."""
    summary = parse_account.account_summary(
        {"account": {**SUMMARY, **changed}, "lastTransactionID": "7"}
    )
    assert summary.margin_closeout_percent == Decimal(percent)


def test_without_nav_and_closeout_percentage_there_is_no_view() -> None:
    account = {**SUMMARY, "marginCloseoutPercent": "NaN", "NAV": "NaN"}
    with pytest.raises(ValueError, match="not finite"):
        parse_account.account_summary({"account": account, "lastTransactionID": "7"})
