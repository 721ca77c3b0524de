"""``python -m sep_guard``: the service."""

from sep_guard.app import main

if __name__ == "__main__":
    main()
