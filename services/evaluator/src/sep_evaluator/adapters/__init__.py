"""Implementations of the ports over Valkey and gRPC; stored records convert here."""
