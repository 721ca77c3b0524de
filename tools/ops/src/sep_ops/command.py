"""The parts of a subcommand of ``sep-ops``."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sep_kit.clock import Clock

DONE, FAILED, WRONG_CALL = 0, 1, 2
"""Exit codes that every command shares; argparse exits with 2 by itself."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A subcommand.

    Attributes:
        name: name after ``sep-ops``.
        summary: one line for ``sep-ops --help``.
        description: what the command does and its exit codes, for its own ``--help``.
        add_options: adds its options; the path is the project's folder.
        run: executes it and returns the exit code.
        interrupted: what Ctrl-C may leave behind and what to do next; ``{prog}`` is the name
            under which the command was called.
    """

    name: str
    summary: str
    description: str
    add_options: Callable[[argparse.ArgumentParser, Path], None]
    run: Callable[[argparse.Namespace, Clock], int]
    interrupted: str
