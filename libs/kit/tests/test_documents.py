import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_kit.errors import CorruptRecordError
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import Document, parse_document, read_document, read_documents
from sep_kit.store.records import (
    BrokerLinkRecord,
    GatesBlob,
    KillSwitchChange,
    ManifoldRecord,
    ParameterChangeRecord,
    SignalRecord,
    WeightsRecord,
)

METRICS = {"coherence": 0.6, "stability": 0.5, "entropy": 0.4, "rupture": 0.3}
COEFFS = {"sigma_eff": 0.0002, "lambda": 0.1}
VALID: dict[type[Document], dict[str, Any]] = {
    SignalRecord: {"ts_ns": 1, "price": 1.1, "metrics": METRICS, "coeffs": COEFFS},
    ManifoldRecord: {
        "instrument": "EUR_USD", "ts_ms": 1, "price": "1.1", "metrics": METRICS, "coeffs": COEFFS,
    },
    GatesBlob: {"ts": 1, "gates": {"EUR_USD": 1}, "cooldowns": {"EUR_USD": 0},
                "bufs": {"EUR_USD": 0.1}},
    WeightsRecord: {"ts": 1, "gates_ts": 1, "weights": {"EUR_USD": 0.1},
                    "scores": {"EUR_USD": 0.5}, "top_k": 3, "held": False},
    BrokerLinkRecord: {"ts": 1, "connected": True, "last_contact_ms": 1},
    ParameterChangeRecord: {"id": "c", "ts_ms": 1, "actor": "a", "reason": "r", "changed": []},
    KillSwitchChange: {"ts": 1, "engaged": True, "reason": "", "actor": ""},
}  # fmt: skip
KINDS = pytest.mark.parametrize("kind", VALID)


@KINDS
def test_a_document_round_trips(kind: type[Document]) -> None:
    document = parse_document(kind, "k", json.dumps(VALID[kind]).encode())
    again = document.model_dump_json(by_alias=True).encode()
    assert parse_document(kind, "k", again) == document
    assert VALID[kind].items() <= json.loads(again).items()


@KINDS
def test_unknown_fields_are_ignored(kind: type[Document]) -> None:
    parse_document(kind, "k", json.dumps({**VALID[kind], "added_later": [1]}).encode())


@KINDS
def test_a_missing_field_is_named(kind: type[Document]) -> None:
    for missing in VALID[kind]:
        rest = {k: v for k, v in VALID[kind].items() if k != missing}
        with pytest.raises(CorruptRecordError, match=f"^the:key is malformed: {missing}: "):
            parse_document(kind, "the:key", json.dumps(rest).encode())


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        (SignalRecord, "metrics.coherence", 1.01),
        (SignalRecord, "metrics.entropy", float("nan")),
        (SignalRecord, "coeffs.lambda", -0.1),
        (SignalRecord, "price", 0),
        (SignalRecord, "price", float("inf")),
        (ManifoldRecord, "coeffs.sigma_eff", -1),
        (GatesBlob, "gates.EUR_USD", 2),
        (GatesBlob, "bufs.EUR_USD", float("nan")),
        (GatesBlob, "ts", -1),
        (WeightsRecord, "weights.EUR_USD", 1.5),
        (WeightsRecord, "scores.EUR_USD", float("inf")),
    ],
)
def test_an_invalid_value_is_named_by_its_path(
    kind: type[Document], path: str, value: float
) -> None:
    document = json.loads(json.dumps(VALID[kind]))
    *parents, last = path.split(".")
    inner = document
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    with pytest.raises(CorruptRecordError, match=f"k is malformed: {path}: "):
        parse_document(kind, "k", json.dumps(document).encode())


def test_a_blob_with_different_instruments_in_its_parts_is_refused() -> None:
    raw = json.dumps({**VALID[GatesBlob], "bufs": {}}).encode()
    with pytest.raises(CorruptRecordError, match="do not name the same instruments"):
        parse_document(GatesBlob, "k", raw)


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused(raw: bytes) -> None:
    with pytest.raises(CorruptRecordError):
        parse_document(GatesBlob, "k", raw)


async def test_a_missing_document_is_none(store: Valkey) -> None:
    assert await read_document(store, GatesBlob, "nowhere") is None
    assert await read_documents(store, GatesBlob, []) == []


async def test_one_malformed_document_leaves_the_others_readable(store: Valkey) -> None:
    await store.set("a", json.dumps(VALID[GatesBlob]))
    await store.set("b", "{")
    a, b, c = await read_documents(store, GatesBlob, ["a", "b", "c"])
    assert isinstance(a, GatesBlob)
    assert isinstance(b, CorruptRecordError)
    assert b.metadata == {"key": "b"}
    assert c is None
