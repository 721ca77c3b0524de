"""``python -m sep_replay``: the same as ``sep-replay``."""

import sys

from sep_replay.cli import main

if __name__ == "__main__":
    sys.exit(main())
