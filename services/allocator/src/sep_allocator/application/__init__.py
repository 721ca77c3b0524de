"""The allocator's loop: the order of steps. Everything outside comes in through ports."""
