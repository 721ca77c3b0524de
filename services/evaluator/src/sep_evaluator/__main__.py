"""``python -m sep_evaluator``: the service; its command line is ``sep-evaluator``."""

from sep_evaluator.app import main

if __name__ == "__main__":
    main()
