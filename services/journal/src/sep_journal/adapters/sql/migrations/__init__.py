"""Migrations of the journal's tables, run at start."""
