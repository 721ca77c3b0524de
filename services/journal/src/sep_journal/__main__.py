"""``python -m sep_journal`` runs the service."""

from sep_journal.app import main

if __name__ == "__main__":
    main()
