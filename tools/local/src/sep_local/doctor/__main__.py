"""Entry point of ``sep-stack doctor``: the real clock is made here."""

import argparse

from sep_kit.clock import SystemClock

from sep_local.doctor import command


def run(arguments: argparse.Namespace) -> int:
    """Examine this machine; the exit code."""
    return command.run(arguments, SystemClock())
