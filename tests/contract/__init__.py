"""Tests of the architecture, the contract and the public names."""
