"""``python -m sep_evaluator.cli`` is the same as ``sep-evaluator``."""

import sys

from sep_evaluator.cli.parser import main

if __name__ == "__main__":
    sys.exit(main())
