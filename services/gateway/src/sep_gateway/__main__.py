"""Entry point: ``python -m sep_gateway``."""

from sep_gateway.app import main

if __name__ == "__main__":
    main()
