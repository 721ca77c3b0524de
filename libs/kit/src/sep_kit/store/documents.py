"""JSON documents in Valkey, validated when they are read."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.store.connection import Valkey, reply, wrong_type

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Document(BaseModel):
    """Base of stored JSON documents. Unknown fields are ignored: newer writers may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


D = TypeVar("D", bound=Document)


def parse_document(kind: type[D], key: str, raw: bytes) -> D:
    """Parse a document; the error names the key and the first fault.

    Raises:
        CorruptRecordError: the document is not JSON or does not match the schema.
    """
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CorruptRecordError(
            f"{key} is malformed: {where + ': ' if where else ''}{first['msg']}", key=key
        ) from None


async def read_document(store: Valkey, kind: type[D], key: str) -> D | None:
    """The document under the key; None if there is none.

    Raises:
        CorruptRecordError: the stored document is malformed.
        StoreUnavailableError: Valkey does not answer.
    """
    try:
        raw = await reply(store.get(key))
    except StoreUnavailableError as error:
        if isinstance(error.__cause__, Exception) and wrong_type(error.__cause__):
            raise CorruptRecordError(f"{key} is of a wrong type", key=key) from None
        raise
    return None if raw is None else parse_document(kind, key, raw)


async def read_documents(
    store: Valkey, kind: type[D], keys: list[str]
) -> list[D | CorruptRecordError | None]:
    """The documents under the keys, in one round trip; an error in place of a malformed one."""
    if not keys:
        return []
    found: list[D | CorruptRecordError | None] = []
    for key, raw in zip(keys, await reply(store.mget(keys)), strict=True):
        try:
            found.append(None if raw is None else parse_document(kind, key, raw))
        except CorruptRecordError as error:
            found.append(error)
    return found
