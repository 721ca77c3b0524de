"""Migrations of the journal's tables, run at start."""

HEAD = "0006_day_sums"
"""The newest revision. Tables that are at it are left alone, without loading what migrates."""
