"""``python -m sep_allocator`` runs the service."""

from sep_allocator.app import main

if __name__ == "__main__":
    main()
