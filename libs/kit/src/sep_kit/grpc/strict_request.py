"""Strict parsing of REST calls: unknown fields and repeated parameters are errors.

Envoy's transcoder drops unknown body fields, and uses the last of a query parameter given twice.
The proxy therefore passes on the original body in a header, which is parsed here again by
protobuf in strict mode, and in a second header the names of repeated parameters.
"""

import json
import re
from typing import Any

from google.protobuf import json_format

from sep_kit.errors import InvalidArgumentError

RAW_BODY = "x-sep-body-bin"
"""Header with the JSON body as the client sent it."""
REPEATED_NAMES = "x-sep-twice"
"""Header with the names of query parameters given more than once, separated by commas."""

_UNKNOWN_FIELD = re.compile(r'has no field named "([^"]*)"')
_MAX_NAME_LENGTH = 60
_MAX_DEPTH = 16


def check_body(raw: bytes, request: Any) -> None:
    """Check that the body contains exactly what the transcoder made of it.

    Args:
        raw: the JSON as the client sent it.
        request: what the transcoder made of it.

    Raises:
        InvalidArgumentError: a field is unknown, null or not spelled as in the contract, or
            the JSON differs from what was transcoded.
    """
    try:
        parsed = json_format.Parse(raw, type(request)(), max_recursion_depth=_MAX_DEPTH)
        body = json.loads(raw)
    except (ValueError, json_format.ParseError, RecursionError) as error:
        unknown = _UNKNOWN_FIELD.search(str(error))
        if unknown is None:
            raise InvalidArgumentError("the body is not valid JSON for this request") from None
        raise _unknown_field(unknown[1], request) from None
    for name, value in body.items():
        # Protobuf accepts dryRun for dry_run as well, and uses the last if both are given.
        if name not in request.DESCRIPTOR.fields_by_name:
            raise _unknown_field(name, request)
        # Protobuf reads null as "not set", so `dry_run: null` would be a real run.
        if value is None:
            raise InvalidArgumentError(f"{name} is null: leave the field out instead")
    if parsed != request:
        raise InvalidArgumentError("the body is ambiguous")


def _unknown_field(name: str, request: Any) -> InvalidArgumentError:
    known = ", ".join(field.name for field in request.DESCRIPTOR.fields) or "none"
    return InvalidArgumentError(
        f"the body has an unknown field {name[:_MAX_NAME_LENGTH]!r}; known are: {known}"
    )


def check_repeated(names: str, request: Any) -> None:
    """Check that only lists were given more than once in the query.

    Args:
        names: names of the repeated parameters, separated by commas.

    Raises:
        InvalidArgumentError: one of them is not a list.
    """
    for name in names.split(","):
        field = request.DESCRIPTOR.fields_by_name.get(name)
        if field is not None and not field.is_repeated:
            raise InvalidArgumentError(f"{name}: is given twice")
