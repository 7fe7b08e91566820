"""The record of every request: judges count effects from it alone."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.clock import stamp


@dataclass
class LogEntry:
    """One request. `applied` is set by the vendor, inside the world's lock, the moment it changed something."""

    seq: int
    at: str
    method: str
    path: str
    query: str
    body: str
    body_sha256: str
    applied: bool = False
    status: int | None = field(default=None)

    def line(self) -> str:
        row = {
            "seq": self.seq,
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "applied": self.applied,
            "status": self.status,
            "body_sha256": self.body_sha256,
            "body": self.body,
        }
        return json.dumps(row, ensure_ascii=False) + "\n"


class Log:
    """Rows in the order in which the requests were read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[LogEntry] = []

    def open(self, at: datetime, method: str, path: str, query: str, body: bytes) -> LogEntry:
        text, digest = body.decode("utf-8", "replace"), hashlib.sha256(body).hexdigest()
        with self._lock:
            entry = LogEntry(len(self._entries) + 1, stamp(at), method, path, query, text, digest)
            self._entries.append(entry)
            return entry

    def entries(self, after: int = 0) -> list[LogEntry]:
        with self._lock:
            return self._entries[after:]

    def text(self, after: int = 0) -> str:
        return "".join(entry.line() for entry in self.entries(after))
