"""Envoy: its configuration made from settings and the contract, and how it is drained."""
