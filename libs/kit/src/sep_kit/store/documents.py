"""JSON documents: read whole and checked, or refused."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sep_kit.errors import CorruptRecordError
from sep_kit.store.connection import Valkey, answer

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Document(BaseModel):
    """Base of every stored JSON document. Unknown fields pass: a newer writer may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


D = TypeVar("D", bound=Document)


def parse_document(kind: type[D], key: str, raw: bytes) -> D:
    """The document, or a refusal that names the key and the first fault.

    Raises:
        CorruptRecordError: not JSON, or not of the schema.
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
    """The document under the key, None where there is none.

    Raises:
        CorruptRecordError: what is stored is malformed.
        StoreUnavailableError: Valkey does not answer.
    """
    raw = await answer(store.get(key))
    return None if raw is None else parse_document(kind, key, raw)


async def read_documents(
    store: Valkey, kind: type[D], keys: list[str]
) -> list[D | CorruptRecordError | None]:
    """The documents under the keys, in one round trip; a malformed one as its error."""
    if not keys:
        return []
    found: list[D | CorruptRecordError | None] = []
    for key, raw in zip(keys, await answer(store.mget(keys)), strict=True):
        try:
            found.append(None if raw is None else parse_document(kind, key, raw))
        except CorruptRecordError as error:
            found.append(error)
    return found
