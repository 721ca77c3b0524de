"""Entry point of ``sep-state``."""

import os
import sys

from sep_kit.clock import SystemClock

from sep_ops.state import cli


def main() -> int:
    """Run the command; returns its exit code."""
    # What is written is the state of an account.
    os.umask(0o077)
    return cli.run(None, SystemClock())


if __name__ == "__main__":
    sys.exit(main())
