"""The operators' commands: ``sep-ops``, and the scripts in ``scripts/ops`` and ``bin``."""
