"""Compares a day as it was traded with its replay, and says what each difference cost."""
