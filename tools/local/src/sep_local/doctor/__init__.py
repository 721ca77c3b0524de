"""``sep-stack doctor``: what of this machine would stop a stack, and what to do about it."""
