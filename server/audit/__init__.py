"""What may not change: the hash-chained audit. Append, verify, read."""
