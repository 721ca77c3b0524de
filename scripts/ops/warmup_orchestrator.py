"""Warm the stack up after a deploy: ``sep-ops warm-up``."""

from sep_ops.__main__ import run_script

if __name__ == "__main__":
    run_script("warm-up", __file__)
