"""Pure and total: same input, same output. No I/O, no clock, nothing of `server` but `errors`."""
