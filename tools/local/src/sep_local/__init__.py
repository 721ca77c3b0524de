"""Runs the SEP stack on one machine, as plain processes."""
