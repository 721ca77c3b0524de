"""Orchestration: periodic loops, the order service, caches and stream supervision."""
