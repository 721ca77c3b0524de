"""``python -m sep_stack``."""

import sys

from sep_stack.cli import main

sys.exit(main())
