"""Valkey and gRPC sides of what the guard needs."""
