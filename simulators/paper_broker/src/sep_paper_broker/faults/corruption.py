"""Corruption of responses: candles missing, incomplete or invalid, prices invalid."""

import json
import re
from collections.abc import Iterable
from typing import Any

from sep_paper_broker.faults.kinds import CorruptValue, Fault, FaultKind

Json = dict[str, Any]


def corrupt_candles(response: bytes, faults: Iterable[Fault]) -> bytes:
    """A response whose newest candles are missing, incomplete or invalid, as the faults say."""
    body = json.loads(response)
    candles = body["candles"]
    for fault in faults:
        first = max(0, len(candles) - fault.count)
        newest = candles[first:]
        if fault.kind is FaultKind.MISSING_CANDLES:
            newest = []
        elif fault.kind is FaultKind.INCOMPLETE_CANDLES:
            newest = [{**candle, "complete": False} for candle in newest]
        else:
            newest = [_bad_candle(candle, fault.value) for candle in newest]
        candles = candles[:first] + newest
    return json.dumps({**body, "candles": candles}, separators=(",", ":")).encode()


def corrupt_members(response: bytes, faults: Iterable[Fault]) -> bytes:
    """A JSON response with odd members: a field changed or removed, or a member without fields.

    Members are the objects in the lists of the response and of its ``account``, and the account
    itself where a fault names it.
    """
    body = json.loads(response)
    holders = [body, body.get("account")]
    lists = [
        (name, entry)
        for holder in holders
        if isinstance(holder, dict)
        for name, entry in holder.items()
        if isinstance(entry, list)
    ]
    for fault in faults:
        if fault.members == "account" and isinstance(body.get("account"), dict):
            body["account"] = _odd_member(body["account"], fault)
        for name, members in lists:
            if fault.members not in (None, name):
                continue
            chosen = [i for i, member in enumerate(members) if _is_chosen(member, fault)]
            for i in chosen[: fault.count]:
                members[i] = _odd_member(members[i], fault)
    return json.dumps(body, separators=(",", ":")).encode()


def _is_chosen(member: object, fault: Fault) -> bool:
    if not isinstance(member, dict):
        return False
    return fault.instrument in (None, member.get("instrument"), member.get("name"))


def _odd_member(member: Json, fault: Fault) -> Json:
    if fault.field is None:
        return {}
    others = {name: value for name, value in member.items() if name != fault.field}
    if fault.json is not None:
        return {**others, fault.field: json.loads(fault.json)}
    return others if fault.text is None else {**others, fault.field: fault.text}


def corrupt_price(price: Json, value: CorruptValue) -> Json:
    """An invalid price; a price without bids and asks stays as it is."""
    bids, asks = price["bids"], price["asks"]
    if value is CorruptValue.CROSSED:
        return {**price, "bids": _priced(bids, asks), "asks": _priced(asks, bids)}
    bad = [{**level, "price": _bad_text(level["price"], value)} for level in bids]
    return {**price, "bids": bad}


def _priced(levels: list[Json], others: list[Json]) -> list[Json]:
    return [{**level, "price": other["price"]} for level, other in zip(levels, others, strict=True)]


def _bad_candle(candle: Json, value: CorruptValue) -> Json:
    if value is CorruptValue.CROSSED:
        swapped = {"bid": "ask", "ask": "bid"}
        return {name: candle.get(swapped.get(name, name), item) for name, item in candle.items()}
    sides: dict[str, Json] = {n: candle[n] for n in ("bid", "ask", "mid") if n in candle}
    if value is CorruptValue.HIGH_BELOW_LOW:
        # The smallest positive price, so that it is below any low.
        least = {name: re.sub(r"\d", "0", side["h"])[:-1] + "1" for name, side in sides.items()}
        return {**candle, **{name: {**side, "h": least[name]} for name, side in sides.items()}}
    return {
        **candle,
        **{name: {**side, "c": _bad_text(side["c"], value)} for name, side in sides.items()},
    }


def _bad_text(price: str, value: CorruptValue) -> str:
    if value is CorruptValue.NOT_FINITE:
        return "NaN"
    if value is CorruptValue.UNPARSABLE:
        return "n/a"
    return re.sub(r"\d", "0", price)
