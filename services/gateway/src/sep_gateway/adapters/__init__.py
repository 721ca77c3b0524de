"""Where the gateway meets the world: the broker and Valkey."""
