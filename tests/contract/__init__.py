"""What holds the architecture and the contract together."""
