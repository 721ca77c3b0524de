"""``sep-params``: puts parameters that a research run judged into force, and takes them back."""
