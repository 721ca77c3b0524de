"""Close exposure over the cap: ``sep-ops drain``."""

from sep_ops.__main__ import run_script

if __name__ == "__main__":
    run_script("drain", __file__, prog="drain_overcap_only.sh")
