"""State of the connection to the broker."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """The connection to the broker at ``ts_ms``.

    ``last_contact_ms`` is when the broker last responded, None before the first response.
    ``error`` is empty while it responds. ``left_out`` names what could not be read of its newest
    answers, ``unsupported_kinds`` why the account can't be traded. ``clock_skew_s`` is how far the
    broker's clock is ahead of ours, None while that is not known. While ``ledger_contiguous`` is
    False a transaction may be missing, so nothing may be opened.
    """

    ts_ms: int
    connected: bool
    last_contact_ms: int | None
    error: str
    ledger_contiguous: bool
    last_transaction_id: int | None
    price_stream_connected: bool
    left_out: tuple[str, ...] = ()
    unsupported_kinds: tuple[str, ...] = ()
    clock_skew_s: float | None = None
