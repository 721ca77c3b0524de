"""A catalogue of candles in Parquet files, and the commands that fill and check it."""
