"""List, set or lift locks of instruments: ``sep-ops locks``."""

from sep_ops.__main__ import run_script

if __name__ == "__main__":
    run_script("locks", __file__)
