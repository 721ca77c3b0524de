"""``python -m sep_local``: the same as the command ``sep-stack``."""

import sys

from sep_local.cli import main

sys.exit(main())
