"""The hash of an audit row: over the stored text of its fields, each with its length, so that no two rows can read alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

START = "0" * 64
"""The `prev` of the first row."""

_NULL = b"\xff\xff\xff\xff"


def row_hash(fields: Iterable[str | int | None]) -> str:
    """64 lower-case hex digits. fields: those of `tables.FIELDS`, in order, as stored; integers count as decimal text."""
    digest = hashlib.sha256(b"ripcord-audit-1")
    for field in fields:
        if field is None:
            digest.update(_NULL)
            continue
        text = str(field).encode("utf-8")
        digest.update(len(text).to_bytes(4, "big"))
        digest.update(text)
    return digest.hexdigest()
