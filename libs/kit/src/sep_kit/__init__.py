"""Shared by all SEP services: settings, errors, loops, leases, store, gRPC."""

__version__ = "0.1.0"
