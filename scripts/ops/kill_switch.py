"""Show, engage or release the kill switch: ``sep-ops kill-switch``."""

from sep_ops.__main__ import run_script

if __name__ == "__main__":
    run_script("kill-switch", __file__)
