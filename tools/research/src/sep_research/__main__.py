"""``python -m sep_research``: the same as ``sep-research``."""

import sys

from sep_research.cli import main

if __name__ == "__main__":
    sys.exit(main())
