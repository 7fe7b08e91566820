"""`./ripcord check`: linters, types, import contracts, runbooks, and the sizes and words of server/. All findings are printed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tools import house

ROOT = Path(__file__).resolve().parent.parent
_PYTHON = [sys.executable, "-m"]
_BIN = Path(sys.executable).parent
COMMANDS: dict[str, list[str]] = {
    "ruff": [*_PYTHON, "ruff", "check", "-q", "--output-format=concise", "."],
    "format": [*_PYTHON, "ruff", "format", "--check", "-q", "--output-format=concise", "."],
    "types": [*_PYTHON, "mypy", "--no-error-summary"],
    "imports": [str(_BIN / "lint-imports"), "--no-logo"],
    "runbooks": [*_PYTHON, "server", "lint"],
}


def main(argv: list[str]) -> int:
    """0 when nothing is found, else 1."""
    if argv:
        print("usage: ./ripcord check", file=sys.stderr)
        return 2
    failed = [name for name, command in COMMANDS.items() if not _holds(name, command)]
    if findings := house.findings(ROOT):
        print("\n".join(["house:", *findings]))
        failed.append("house")
    print(f"ripcord check: {'failed: ' + ', '.join(failed) if failed else 'all clean'}")
    return 1 if failed else 0


def _holds(name: str, command: list[str]) -> bool:
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    print(f"{name}: {'clean' if done.returncode == 0 else 'findings'} ({seconds:.0f} s)", flush=True)
    if done.returncode != 0:
        print((done.stdout + done.stderr).strip(), flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
