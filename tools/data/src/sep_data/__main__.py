"""``python -m sep_data``: the same as ``sep-data``."""

import sys
from collections.abc import Sequence

from sep_kit.clock import SystemClock

from sep_data import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command with the machine's clock; returns the exit code."""
    return cli.run(argv, SystemClock())


if __name__ == "__main__":
    sys.exit(main())
