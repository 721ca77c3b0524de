"""Changes of parameters in Valkey: the stream of all, and the one behind each value in force."""

import json
from collections.abc import Mapping, Sequence
from typing import cast

from redis.asyncio.client import Pipeline
from sep_kit.errors import CorruptRecordError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import parse_document
from sep_kit.store.records import ChangedParametersRecord, ParameterChangeRecord

from sep_evaluator.domain.parameter_changes import Change, Changed
from sep_evaluator.domain.params import StrategyParams, digest_of

_log = get_logger("ParameterChanges")
_FIELD = "change"
_PAGE = 500


def record_of(change: Change) -> ParameterChangeRecord:
    """The record of a change."""
    return ParameterChangeRecord(
        id=change.id,
        ts_ms=change.ts_ms,
        actor=change.actor,
        reason=change.reason,
        run=change.run,
        forced_by=change.forced_by,
        rolls_back=change.rolls_back,
        changed=tuple(
            ChangedParametersRecord(
                instrument=c.instrument,
                before=None if c.before is None else c.before.as_dict(),
                after=c.after.as_dict(),
                against=c.against,
                digest_before="" if c.before is None else digest_of(c.before),
                digest_after=digest_of(c.after),
            )
            for c in change.changed
        ),
    )


def change_of(record: ParameterChangeRecord) -> Change:
    """The change of a record.

    Raises:
        ValueError: a parameter is unknown or out of range, as after a downgrade.
    """
    return Change(
        id=record.id,
        ts_ms=record.ts_ms,
        actor=record.actor,
        reason=record.reason,
        run=record.run,
        forced_by=record.forced_by,
        rolls_back=record.rolls_back,
        changed=tuple(
            Changed(
                instrument=c.instrument,
                before=None if c.before is None else StrategyParams.from_mapping(c.before),
                after=StrategyParams.from_mapping(c.after),
                against=c.against,
            )
            for c in record.changed
        ),
    )


def queue_change(pipe: Pipeline, change: Change) -> None:
    """Queue a change: the parameters, what put them into force, and the entry of the stream."""
    record = record_of(change).model_dump_json()
    for c in change.changed:
        if c.after == StrategyParams():
            pipe.delete(keys.best_config(c.instrument))
        else:
            pipe.set(keys.best_config(c.instrument), json.dumps(c.after.as_dict()))
        pipe.hset(keys.PARAMETER_ORIGINS, c.instrument, record)
    pipe.xadd(keys.PARAMETER_CHANGES, {_FIELD: record})


async def read_origins(store: Valkey) -> dict[str, Change]:
    """The last change of each instrument; one that can't be read is left out and logged.

    Raises:
        StoreUnavailableError: Valkey does not answer.
    """
    found = cast(Mapping[bytes, bytes], await reply(store.hgetall(keys.PARAMETER_ORIGINS)))
    changes = {name.decode(): _parse(keys.PARAMETER_ORIGINS, raw) for name, raw in found.items()}
    return {name: change for name, change in changes.items() if change is not None}


async def read_changes(store: Valkey, limit: int, instrument: str | None) -> list[Change]:
    """Changes, the newest first; those that can't be read are left out and logged.

    Raises:
        StoreUnavailableError: Valkey does not answer.
    """
    changes: list[Change] = []
    newest = "+"
    while len(changes) < limit:
        page = cast(
            Sequence[tuple[bytes, Mapping[bytes, bytes]]],
            await reply(store.xrevrange(keys.PARAMETER_CHANGES, max=newest, count=_PAGE)),
        )
        for _, fields in page:
            change = _parse(keys.PARAMETER_CHANGES, fields.get(_FIELD.encode(), b""))
            if change is not None and (instrument is None or change.of(instrument)):
                changes.append(change)
        if len(page) < _PAGE:
            break
        newest = f"({page[-1][0].decode()}"
    return changes[:limit]


def _parse(key: str, raw: bytes) -> Change | None:
    try:
        return change_of(parse_document(ParameterChangeRecord, key, raw))
    except (CorruptRecordError, ValueError) as error:
        _log.error("change left out", key=key, error=str(error))
        return None
