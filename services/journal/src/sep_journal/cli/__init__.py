"""The command ``sep-journal``."""

from sep_journal.cli.command import main

__all__ = ["main"]
