"""Where a run is executed. Knows no domain words; `durable.py` is the only file that knows the workflow library."""
