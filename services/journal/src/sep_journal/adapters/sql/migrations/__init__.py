"""Migrations of the journal's tables, run at start."""

HEAD = "0005_divergence"
"""The newest revision. Tables that are at it are left alone, without loading what migrates."""
