"""gRPC servers and clients: access, validation, errors, deadlines, caching, health, reflection."""
