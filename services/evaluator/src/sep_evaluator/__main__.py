"""``python -m sep_evaluator`` runs the service. The command line is ``sep-evaluator``."""

from sep_evaluator.app import main

if __name__ == "__main__":
    main()
