"""Halt and close everything: ``sep-ops flatten``."""

from sep_ops.__main__ import run_script

if __name__ == "__main__":
    run_script("flatten", __file__, prog="flatten_all.sh")
