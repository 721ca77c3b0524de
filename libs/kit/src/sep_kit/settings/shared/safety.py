"""What the stack is allowed to do."""

from enum import StrEnum

from sep_kit.settings.fields import Knobs


class OandaEnvironment(StrEnum):
    """The kind of account behind the broker's URL."""

    PAPER = "paper"
    PRACTICE = "practice"
    LIVE = "live"


class SafetyKnobs(Knobs):
    """What the stack is allowed to do."""

    read_only: bool = False
    """`1` refuses every order, reductions too."""
    live_trading_enabled: bool = False
    """`1` allows orders on a live account."""
    oanda_environment: OandaEnvironment = OandaEnvironment.PAPER
    """The kind of account behind the broker's URL."""
