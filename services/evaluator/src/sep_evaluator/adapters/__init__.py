"""Valkey and gRPC sides of what the evaluator needs."""
