"""The error that ends a service for good."""


class StartRefusedError(Exception):
    """The service can't run with these settings in the state it found; a restart would not help."""
