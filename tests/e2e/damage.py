"""Ways in which a person can damage a stored value by hand."""

import json
from collections.abc import Callable
from typing import Any

from sep_fx.granularity import Granularity
from sep_kit.store import keys

COSTS = "EUR_USD"
"""The instrument whose keys are damaged."""
LEASES = ("gateway", "evaluator", "allocator", "guard")
SHARED = (
    keys.GATES_BLOB,
    keys.ALLOCATION_WEIGHTS,
    keys.ALLOC_BUDGET,
    keys.KILL_SWITCH_AUDIT,
    keys.BROKER_LINK,
    keys.ORDER_FENCE,
    keys.PARAMETER_CHANGES,
    keys.PARAMETER_ORIGINS,
    keys.GUARD_DECISIONS,
    keys.MARGIN_GATE,
    keys.MANAGED_UNITS,
    keys.REFUSED_ORDERS,
    keys.TRADE_STOPS,
    keys.OPEN_ORDERS,
)
OF_LEASES = (
    *(keys.lease(name) for name in LEASES),
    *(keys.lease_counter(name) for name in LEASES),
)
OF_AN_INSTRUMENT = (
    keys.candles(COSTS, Granularity.S5),
    keys.candle_coverage(COSTS, Granularity.S5),
    keys.signal_index(COSTS),
    keys.manifold(COSTS),
    keys.cooldown(COSTS),
    *(keys.gate_memory(f, COSTS) for f in ("eligible", "passes", "fails", "misses", "watermark")),
    keys.backtest_summary(COSTS),
    keys.backtest_history(COSTS),
    keys.best_config(COSTS),
)
TRIPPING = (
    keys.RISK_EQUITY,
    keys.RISK_ACTIVITY,
    keys.RISK_BREAKER,
    keys.RISK_LOCKS,
    keys.KILL_SWITCH,
)
"""What can't be assumed: baselines, breaker and locks trip, a damaged switch counts as engaged."""

Value = str | bytes | list[str] | dict[str, str]
Damage = Callable[[Value], Value]


def _truncated(value: Value) -> Value:
    if isinstance(value, dict):
        return {name: text[: len(text) // 2] for name, text in value.items()}
    return value[: len(value) // 2] or "{"


def _of_other_types(value: Value) -> Value:
    """The same JSON with each member of another type, or the same fields with words in them."""
    if isinstance(value, dict):
        return {name: str(_of_other_types(text)) for name, text in value.items()}
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    return json.dumps(_other(found)) if isinstance(found, dict | list) else "word"


def _other(member: object) -> object:
    if isinstance(member, dict):
        return {name: _other(inner) for name, inner in member.items()}
    if isinstance(member, list):
        return {"a": 1}
    return 7 if isinstance(member, str) else "word"


KINDS: dict[str, Damage] = {
    "hash": lambda _: {"a": "1"},
    "list": lambda _: ["x"],
    "empty": lambda _: "",
    "NaN": lambda _: "NaN",
    "negative": lambda _: "-9223372036854775808",
    "garbage": lambda _: b"\xff\x00{",
    "truncated": _truncated,
    "field types": _of_other_types,
}


def damage(store: Any, key: str, kind: str) -> None:
    """Replace the value of a key in one step, since the services write it all the time."""
    damaged = KINDS[kind](_value(store, key))
    with store.pipeline(transaction=True) as replaced:
        replaced.delete(key)
        if isinstance(damaged, dict):
            replaced.hset(key, mapping=damaged)
        elif isinstance(damaged, list):
            replaced.rpush(key, *damaged)
        else:
            replaced.set(key, damaged)
        replaced.execute()


def _value(store: Any, key: str) -> Value:
    """What is stored; of a packed hash, a stream or an absent key a stand-in of one field."""
    kind = store.type(key)
    if kind == b"string":
        return str(store.get(key), "utf-8", "replace")
    if kind == b"hash":
        fields = store.hgetall(key).items()
        return {str(name, "utf-8", "replace"): str(text, "latin-1") for name, text in fields}
    return '{"ts": 1, "a": "1"}'
