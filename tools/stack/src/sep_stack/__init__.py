"""The SEP stack as local processes, and Envoy's configuration."""
