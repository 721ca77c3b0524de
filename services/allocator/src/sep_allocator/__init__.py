"""The allocator: scores instruments with an open gate and publishes weights of the Top-K."""
