"""``python -m sep_guard.cli``: the same as ``sep-guard``."""

import sys

from sep_guard.cli import main

if __name__ == "__main__":
    sys.exit(main())
