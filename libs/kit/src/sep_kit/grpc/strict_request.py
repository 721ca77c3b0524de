"""REST calls held to the contract: what it does not know is an error, not a no-op.

Envoy's transcoder drops body fields that it does not know, and of a parameter that is given twice
it takes the last. The proxy therefore hands on the body as it came, in a header, and it is parsed
here again by protobuf itself, strictly; another header names what the query said twice.
"""

import json
import re
from typing import Any

from google.protobuf import json_format

from sep_kit.errors import InvalidArgumentError

RAW_BODY = "x-sep-body-bin"
TWICE = "x-sep-twice"
_UNKNOWN_FIELD = re.compile(r'has no field named "([^"]*)"')


def check_body(raw: bytes, request: Any) -> None:
    """Make sure that the body says what the request says, and nothing more.

    Args:
        raw: the JSON as the client sent it.
        request: what the transcoder made of it.

    Raises:
        InvalidArgumentError: a field is unknown, null or not named as the contract names it, or
            the JSON is not what was transcoded.
    """
    try:
        told = json_format.Parse(raw, type(request)(), max_recursion_depth=16)
        given = json.loads(raw)
    except (ValueError, json_format.ParseError, RecursionError) as error:
        unknown = _UNKNOWN_FIELD.search(str(error))
        if unknown is None:
            raise InvalidArgumentError("the body is not this request as JSON") from None
        raise _unknown_field(unknown[1], request) from None
    for name, value in given.items():
        # Protobuf takes dryRun for dry_run as well, and of the two it takes the last.
        if name not in request.DESCRIPTOR.fields_by_name:
            raise _unknown_field(name, request)
        # It takes null for "not given", and for a dry run that would mean a wet one.
        if value is None:
            raise InvalidArgumentError(f"null is no value: leave out {name}")
    if told != request:
        raise InvalidArgumentError("the body can be read in two ways")


def _unknown_field(name: str, request: Any) -> InvalidArgumentError:
    known = ", ".join(field.name for field in request.DESCRIPTOR.fields) or "none"
    return InvalidArgumentError(f"the body has an unknown field {name[:60]!r}; known are: {known}")


def check_twice(names: str, request: Any) -> None:
    """Make sure that nothing was given twice that there can be only one of.

    Args:
        names: what the query of the call said more than once, with commas between.

    Raises:
        InvalidArgumentError: one of them is no list.
    """
    for name in names.split(","):
        field = request.DESCRIPTOR.fields_by_name.get(name)
        if field is not None and not field.is_repeated:
            raise InvalidArgumentError(f"{name}: is given twice")
