"""Test support: fake clock, real Valkey, in-process servers, ``eventually``."""
