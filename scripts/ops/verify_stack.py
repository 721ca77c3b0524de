"""Check that the stack is ready for an operator: ``sep-ops verify``."""

from sep_ops.__main__ import run_script

if __name__ == "__main__":
    run_script("verify", __file__)
