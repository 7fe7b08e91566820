"""One module for each verb; no logic of its own."""
