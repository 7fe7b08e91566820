"""The API's error answers: a status, a code, and a sentence."""

from __future__ import annotations


class Refusal(Exception):
    """An error answer of the API."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def bad(message: str) -> Refusal:
    return Refusal(400, "invalid_request", message)


def unknown(what: str) -> Refusal:
    return Refusal(404, "not_found", f"Unknown {what}")


def denied(message: str = "Access denied") -> Refusal:
    return Refusal(403, "forbidden", message)


def taken(message: str) -> Refusal:
    return Refusal(409, "conflict", message)
