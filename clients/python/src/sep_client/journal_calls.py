"""The calls of the journal about days against their replay and for files; ``calls`` has more."""

from sep_client import models as m
from sep_client.call import Call


def divergence(
    *,
    page_size: int | None = None,
    page_token: str | None = None,
    since: str | float | None = None,
    until: str | float | None = None,
    instrument: str | None = None,
) -> Call[m.ListDivergenceResponse]:
    """Days against their replay, newest first: each difference with its cause and its cash."""
    given = {
        "page_size": page_size,
        "page_token": page_token,
        "from": since,
        "to": until,
        "instrument": instrument,
    }
    query = {name: value for name, value in given.items() if value is not None}
    return Call(m.ListDivergenceResponse, "/api/journal/divergence", query)


def export(
    kind: str,
    file_format: str,
    since: str | float | None,
    until: str | float | None,
    instrument: str | None,
) -> Call[bytes]:
    """A file, sent in pieces."""
    given = {
        "kind": kind,
        "format": file_format,
        "from": since,
        "to": until,
        "instrument": instrument,
    }
    query = {name: value for name, value in given.items() if value is not None}
    return Call(bytes, "/api/journal/export", query)
