"""SQL, Valkey and the gateway; records convert here."""
