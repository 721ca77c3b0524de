"""Envoy: its configuration, generated from settings and the contract, and how to drain it."""
