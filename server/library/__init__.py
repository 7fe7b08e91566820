"""Reads runbooks/ from disk with line numbers and keeps the last good set."""
