"""What every SEP service shares: settings, errors, loops, leases, store, gRPC."""

__version__ = "0.1.0"
