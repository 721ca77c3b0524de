"""How Envoy matches the path of a route, whose names in braces stand for one segment each."""

import re
from typing import Any

# Most HTTP clients write the colon of an id as %3A, which RFC 3986 allows.
_SEGMENT = r"(?:[A-Za-z0-9_.:-]|%3[Aa]){1,100}"
_NAME = re.compile(r"\{[a-z_]+\}")


def path_match(route: str) -> dict[str, Any]:
    """A match of a route alone: exact, or by a pattern where it has names in braces."""
    fixed = _NAME.split(route)
    if len(fixed) == 1:
        return {"path": route}
    return {"safe_regex": {"regex": _SEGMENT.join(re.escape(part) for part in fixed)}}
