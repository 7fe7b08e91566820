"""JSON logs, one event on one line, with secrets taken out. No prints anywhere but in `cli/`."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable
from urllib.parse import quote


class Redacting(logging.Formatter):
    """Turns a record into one JSON line; every known secret becomes ***."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        whole = {secret for secret in secrets if len(secret) >= 6}
        # A secret of several lines is split or escaped on its way into a text; as repr and JSON write it, it is one as well.
        parts = {line for secret in whole for line in secret.splitlines() if len(line) >= 6}
        written = {
            form for secret in whole for form in (repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, ""))
        }
        self.secrets = tuple(sorted(whole | parts | written, key=len, reverse=True))

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, object] = {
            "at": at,
            "level": record.levelname.lower(),
            "log": record.name,
            "said": self.redact(_said(record)),
        }
        for name in ("delivery", "run"):
            if value := getattr(record, name, None):
                line[name] = value
        if record.exc_info:
            line["trace"] = self.redact(self.formatException(record.exc_info))
        return self.redact(json.dumps(line, ensure_ascii=True, default=str))

    def redact(self, text: str) -> str:
        """The text without secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def _said(record: logging.LogRecord) -> str:
    """The message; one whose arguments do not fit is said as it stands, because logging itself would print it line by line."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError, IndexError):
        return f"{record.msg} {record.args!r}"


class Seldom(logging.Filter):
    """Lets at most `most` lines of one logger through in a second: a database outage must not fill the disk with one sentence."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.second, self.count = most, 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line may pass."""
        if (second := int(record.created)) != self.second:
            self.second, self.count = second, 0
        self.count += 1
        return self.count <= self.most


def start(secrets: Iterable[str], level: int = logging.INFO) -> None:
    """Sends all logs to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacting(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    noisy = logging.getLogger("dbos")
    noisy.setLevel(logging.WARNING)
    noisy.handlers[:] = []
    noisy.propagate = True
    noisy.addFilter(Seldom(5))
    for name in ("urllib3", "sqlalchemy", "alembic", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
