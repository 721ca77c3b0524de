"""Measurements: ``python -m bench`` runs every ``bench_*`` module beside this one."""
