"""Every fact that two parts share, in Valkey: one schema and one reader/writer each."""
