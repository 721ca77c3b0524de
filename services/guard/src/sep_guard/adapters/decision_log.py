"""Reads ``guard:decisions``."""

import json
from pathlib import Path

from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import parse_document

from sep_guard.adapters.decision_records import (
    DecisionRecord,
    DrainRecord,
    FlattenRecord,
    LogRecord,
    OrderRecord,
    RiskRecord,
)
from sep_guard.adapters.order_records import StopRecord

_PAGE = 500
_SCHEMAS: dict[bytes, type[LogRecord]] = {
    b'{"event":"decision"': DecisionRecord,
    b'{"event":"order"': OrderRecord,
    b'{"event":"drain"': DrainRecord,
    b'{"event":"flatten"': FlattenRecord,
    b'{"event":"risk"': RiskRecord,
    b'{"event":"stop"': StopRecord,
}


async def find_records(store: Valkey, decision_id: str) -> list[LogRecord]:
    """The records of a decision, oldest first: the decision, then the outcomes of its orders.

    Raises:
        CorruptRecordError: one of them can't be read.
        StoreUnavailableError: Valkey does not answer.
    """
    found: list[LogRecord] = []
    wanted, newest = _marked(decision_id), "+"
    while True:
        page = await reply(store.xrevrange(keys.GUARD_DECISIONS, newest, "-", count=_PAGE))
        for _, fields in page:
            raw = fields.get(b"decision", b"")
            if wanted in raw:
                found.insert(0, parse_record(raw))
        if len(page) < _PAGE or isinstance(next(iter(found), None), DecisionRecord):
            return found
        newest = f"({page[-1][0].decode()}"


def records_of_file(path: Path, decision_id: str) -> list[LogRecord]:
    """The records of a decision in a file that has one a line, as a replay writes it.

    Raises:
        CorruptRecordError: one of them can't be read.
        OSError: the file can't be read.
    """
    wanted = _marked(decision_id)
    with path.open("rb") as lines:
        return [parse_record(line) for line in lines if wanted in line]


def _marked(decision_id: str) -> bytes:
    return f'"id":{json.dumps(decision_id)}'.encode()


def parse_record(raw: bytes) -> LogRecord:
    """The record of an entry.

    Raises:
        CorruptRecordError: it can't be read.
    """
    schema = next((s for start, s in _SCHEMAS.items() if raw.startswith(start)), DecisionRecord)
    return parse_document(schema, keys.GUARD_DECISIONS, raw)
