"""Implementations of ``ports`` over gRPC and Valkey; stored records are converted here."""
