"""Persistence of the account."""
