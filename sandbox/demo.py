"""`ripcord demo`: the whole story, played on a sandbox of its own."""

from __future__ import annotations


def main(arguments: list[str]) -> int:
    raise SystemExit("the demo is not there yet")
