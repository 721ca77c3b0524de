"""Valkey sides of what the allocator needs."""
