"""JSON answers."""

import json
from typing import Any

from starlette.responses import Response


def dump(value: Any) -> bytes:
    """Compact JSON as the broker sends it."""
    return json.dumps(value, separators=(",", ":")).encode()


class JsonResponse(Response):
    """An answer whose body is JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body's bytes."""
        return dump(content)
