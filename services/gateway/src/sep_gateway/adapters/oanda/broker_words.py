"""The broker's own words about a failure, as text that is safe to log."""

import json
from typing import Any

Json = dict[str, Any]

_LONGEST = 500
_CUT = " [cut]"
_HIDDEN = "(token)"


def broker_words(content: bytes, body: Json | None, token: str) -> str:
    """``errorCode`` and ``errorMessage`` of a body, or its beginning if it is not JSON.

    Control characters are escaped, and a token that the broker echoes is hidden.
    """
    if body is not None:
        parts = (body.get("errorCode"), body.get("errorMessage"))
        text = ": ".join(str(part) for part in parts if part)
    else:
        text = content[: 4 * _LONGEST].decode("utf-8", "replace").strip()
    text = text.replace(token, _HIDDEN)
    text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - len(_CUT)] + _CUT
