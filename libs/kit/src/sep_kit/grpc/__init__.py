"""gRPC as every service does it: one interceptor, health, reflection, deadlines."""
