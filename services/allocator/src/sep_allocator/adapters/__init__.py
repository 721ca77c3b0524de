"""Implementations of the ports over Valkey; stored records convert here."""
