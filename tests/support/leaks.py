"""The one assertion that a secret left nowhere: not in a sentence, a repr, a traceback or a log line."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable


class Lines(logging.Handler):
    """Every log line of every library, at DEBUG."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


def everything_said(error: BaseException | None) -> list[str]:
    """The error as a person or a log may ever see it, with what it came from."""
    if error is None:
        return []
    return [str(error), repr(error), *traceback.format_exception(error)]


def assert_leaks_no_secret(said: Iterable[str], secrets: Iterable[str]) -> None:
    """No text holds a secret, nor a part of one that is long enough to be of use."""
    texts = list(said)
    for secret in secrets:
        assert len(secret) >= 8, "a secret too short to be looked for"
        for text in texts:
            for piece in {secret, secret[:8], secret[-8:]}:
                assert piece not in text, f"a secret stands in: {text.replace(piece, '<HERE>')[:300]}"
