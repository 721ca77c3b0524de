"""Trading permissions of the stack."""

from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from sep_kit.settings.fields import Knobs
from sep_kit.settings.relations import Relation


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


class HaltKnobs(Knobs):
    """Kill switch without the store, for guard and gateway."""

    relations: ClassVar[tuple[Relation, ...]] = (
        Relation(
            names=("kill_switch_dir",),
            holds=lambda folder: folder is not None,
            sentence="an engage while Valkey is away would be lost with the process; set a folder",
        ),
    )

    kill_switch_dir: Path | None = None
    """Folder of the files of an engaged kill switch that Valkey has not taken yet."""
