"""Stands in for a service."""
