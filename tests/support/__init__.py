"""Helpers that are not tests."""
