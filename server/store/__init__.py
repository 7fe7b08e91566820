"""What may change: deliveries, runs, locks, notes, sessions. Transactions are short and hold no upstream call."""
