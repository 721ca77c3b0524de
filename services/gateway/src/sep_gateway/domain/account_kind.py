"""Kinds of accounts that the stack can't trade."""

from enum import StrEnum

from sep_gateway.domain.account import AccountSummary

_KNOWN_STOP_MODES = ("", "DISABLED", "ALLOWED", "REQUIRED")


class AccountKind(StrEnum):
    """Why an account can't be traded; the names are public.

    HEDGING: both sides of an instrument can be open, so an order for the other side does not
    reduce. GUARANTEED_STOPS_REQUIRED: the broker rejects the stack's entries. MT4: the broker
    replaces client extensions, so the stack does not know its own orders again. FIFO: the broker
    cancelled the close of a trade because an older one is open. UNKNOWN_KIND: what the broker says
    about the account can't be read.
    """

    HEDGING = "HEDGING"
    GUARANTEED_STOPS_REQUIRED = "GUARANTEED_STOPS_REQUIRED"
    MT4 = "MT4"
    FIFO = "FIFO"
    UNKNOWN_KIND = "UNKNOWN_KIND"


def unsupported_kinds(summary: AccountSummary, *, mt4: bool, fifo: bool) -> tuple[AccountKind, ...]:
    """The kinds of an account that the stack can't trade; none for one that it can.

    Args:
        mt4: the account belongs to MetaTrader 4.
        fifo: the close of a trade was cancelled as a FIFO violation.
    """
    mode = summary.guaranteed_stop_mode
    holds = {
        AccountKind.HEDGING: summary.hedging is True,
        AccountKind.GUARANTEED_STOPS_REQUIRED: mode == "REQUIRED",
        AccountKind.MT4: mt4,
        AccountKind.FIFO: fifo,
        AccountKind.UNKNOWN_KIND: bool(summary.unknown)
        or summary.hedging is None
        or mode not in _KNOWN_STOP_MODES,
    }
    return tuple(kind for kind, is_so in holds.items() if is_so)
