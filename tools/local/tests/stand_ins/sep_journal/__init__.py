"""Stand-in for a service."""
