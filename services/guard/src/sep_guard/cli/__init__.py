"""The command ``sep-guard``."""

from sep_guard.cli.command import main

__all__ = ["main"]
