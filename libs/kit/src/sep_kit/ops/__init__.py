"""What an operator asks of the stack as a whole; every service answers it."""
