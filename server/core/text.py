"""Text from outside, made storable: no NUL, no lone surrogates, not longer than it may be. Nothing else is changed."""

from __future__ import annotations


def clean(text: object, most: int) -> str:
    """The text as both databases can hold it, cut at `most` characters; anything that is not text becomes ''."""
    if not isinstance(text, str):
        return ""
    if "\x00" in text:
        text = text.replace("\x00", "")
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= most else text[: most - 1] + "…"
