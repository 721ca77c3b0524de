"""JSON bodies held to the contract: a field that it does not know is an error, not a no-op.

Envoy's transcoder drops what it does not know. The proxy therefore hands on the body as it
came, in a header, and it is parsed here again by protobuf itself, strictly.
"""

import json
import re
from typing import Any

from google.protobuf import json_format

from sep_kit.errors import InvalidArgumentError

RAW_BODY = "x-sep-body-bin"
_UNKNOWN_FIELD = re.compile(r'has no field named "([^"]*)"')


def check_body(raw: bytes, request: Any) -> None:
    """Make sure that the body says what the request says, and nothing more.

    Args:
        raw: the JSON as the client sent it.
        request: what the transcoder made of it.

    Raises:
        InvalidArgumentError: a field is unknown or null, or the JSON is not what was transcoded.
    """
    try:
        told = json_format.Parse(raw, type(request)(), max_recursion_depth=16)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        unknown = _UNKNOWN_FIELD.search(str(error))
        if unknown is None:
            raise InvalidArgumentError("the body is not this request as JSON") from None
        known = ", ".join(field.name for field in request.DESCRIPTOR.fields) or "none"
        raise InvalidArgumentError(
            f"the body has an unknown field {unknown[1][:60]!r}; known are: {known}"
        ) from None
    # Protobuf takes null for "not given", and for a dry run that would mean a wet one.
    nulls = [name for name, value in json.loads(raw).items() if value is None]
    if nulls:
        raise InvalidArgumentError(f"null is no value: leave out {', '.join(nulls)}")
    if told != request:
        raise InvalidArgumentError("the body can be read in two ways")
