"""``python -m sep_journal.cli``: the same as ``sep-journal``."""

import sys

from sep_journal.cli import main

if __name__ == "__main__":
    sys.exit(main())
