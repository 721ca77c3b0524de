"""Data that services share through Valkey: key names, schemas, readers and writers."""
