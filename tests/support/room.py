"""Where tests keep their files: in memory when there is room, because hundreds of small databases wait for the disk otherwise.

What a test says about the death of a process holds there too: memory outlives a process as a disk does.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

_SHARED = Path("/dev/shm")
_ENOUGH = 2 << 30


def room() -> Path:
    """A folder that exists, on the quickest place with enough room."""
    if _SHARED.is_dir() and shutil.disk_usage(_SHARED).free >= _ENOUGH:
        return _SHARED
    return Path(tempfile.gettempdir())


def new_folder(prefix: str) -> Path:
    """A new folder of our own, which others may pass through (PostgreSQL runs as a user of its own)."""
    # A short name: the path of a socket beside a test's database must stay under 108 characters.
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=room()))
    folder.chmod(0o711)
    return folder
