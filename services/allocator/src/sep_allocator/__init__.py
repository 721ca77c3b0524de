"""Allocator-lite: trusts only the gates blob; scores, Top-K, weights."""
