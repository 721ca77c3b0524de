"""Print what blocks an entry in each instrument: ``sep-ops why-no-trade``."""

from sep_ops.__main__ import run_script

if __name__ == "__main__":
    run_script("why-no-trade", __file__)
