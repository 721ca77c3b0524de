"""Write every read of the API to one JSON file: ``sep-ops snapshot``."""

from sep_ops.__main__ import run_script

if __name__ == "__main__":
    run_script("snapshot", __file__)
