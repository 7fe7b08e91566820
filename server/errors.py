"""The error tree, sorted by what to do next.

RipcordError
├── Rejected        what came is not what it says it is: answer it at the door (403, 400, 413), keep nothing
├── Misconfigured   an owner must change a file or a setting; said with file and line, exit 1
├── Transient       not done, or not readable now: asking again is safe (`retry_after` seconds where the other side said so)
├── Unknown         it may have happened: read before anything else
├── Refused         the other side said no, and asking again will not help
└── Bug             ours: stop, tell a person, put nothing back
    └── Unfit       what an earlier version of ours wrote down of a story does not fit this one: nobody knows how far it was

What an upstream said is a value (`Outcome`, `Verdict`) as soon as it leaves `clients/`; these classes never cross a checkpoint.
"""

from __future__ import annotations


class RipcordError(Exception):
    """The base: its text is one clear sentence for a person, without secrets."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class Rejected(RipcordError):
    """What came at the door is refused with `status`."""

    def __init__(self, said: str, status: int) -> None:
        super().__init__(said)
        self.status = status


class Misconfigured(RipcordError):
    """A file or a setting is wrong; the sentence says which and what was expected."""


class Transient(RipcordError):
    """It was certainly not done, or could not be read now."""

    def __init__(self, said: str, retry_after: float | None = None) -> None:
        super().__init__(said)
        self.retry_after = retry_after


class Unknown(RipcordError):
    """A write may or may not have taken effect. `broken`: the connection broke after sending (else: our time-out, a 5xx)."""

    def __init__(self, said: str, *, broken: bool = False) -> None:
        super().__init__(said)
        self.broken = broken


class Refused(RipcordError):
    """The other side said no; `status` is its HTTP status, `code` its own number of the error where it has one."""

    def __init__(self, said: str, status: int, code: int | None = None) -> None:
        super().__init__(said)
        self.status, self.code = status, code


class Missing(Refused):
    """The thing does not exist (404)."""

    def __init__(self, said: str) -> None:
        super().__init__(said, 404)


class Bug(RipcordError):
    """Something that cannot be, was."""


class Unfit(Bug):
    """A story's record is of another version: nobody knows how far it was."""
