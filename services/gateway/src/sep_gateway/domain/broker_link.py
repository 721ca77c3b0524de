"""State of the connection to the broker."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """The connection to the broker at ``ts_ms``.

    ``last_contact_ms`` is when the broker last responded, None before the first response.
    ``error`` is empty while it responds. While ``ledger_contiguous`` is False a transaction may
    be missing, so nothing may be opened.
    """

    ts_ms: int
    connected: bool
    last_contact_ms: int | None
    error: str
    ledger_contiguous: bool
    last_transaction_id: int | None
    price_stream_connected: bool
