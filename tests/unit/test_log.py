"""One event is one JSON line, whatever stands in it; and no secret is in any of them, at DEBUG neither."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from server import log
from tests.support.leaks import assert_leaks_no_secret

SECRET = 'p4ss"word\\with-ü-and/slash'
LINES = "first-line-of-a-key\nsecond-line-of-a-key"


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logs as a process writes them, at DEBUG; afterwards logging is as it was."""
    root, stream = logging.getLogger(), io.StringIO()
    named = [logging.getLogger(name) for name in ("dbos", "urllib3", "sqlalchemy", "alembic", "asyncio")]
    before = [(one, one.level, one.handlers[:], one.filters[:], one.propagate) for one in (root, *named)]
    monkeypatch.setattr(sys, "stderr", stream)
    log.start([SECRET, LINES, "short"], logging.DEBUG)
    yield stream
    for one, level, handlers, filters, propagate in before:
        one.setLevel(level)
        one.handlers[:], one.filters[:], one.propagate = handlers, filters, propagate


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().split("\n")[:-1]]


def test_an_event_is_one_line_with_time_level_and_place(out: io.StringIO) -> None:
    logging.getLogger("ripcord.test").warning("it %s", "happened", extra={"run": "r-1", "delivery": "d-1"})
    (line,) = lines(out)
    assert {name: line[name] for name in ("level", "log", "said", "run", "delivery")} == {
        "level": "warning", "log": "ripcord.test", "said": "it happened", "run": "r-1", "delivery": "d-1",
    }  # fmt: skip
    assert line["at"].endswith("Z")


@pytest.mark.parametrize(
    "text", ["a\r\nb", "a\nb", "\x1b[2J\x1b]0;owned\x07", "\x00", "\u2028", "\x85", "\x9b31m", "\udcff", "ü"], ids=ascii
)
def test_whatever_stands_in_it_an_event_stays_one_line_of_plain_ascii(text: str) -> None:
    # Formatted by hand: a half character that went through logging would also stand in what a parallel run sends around.
    record = logging.LogRecord("ripcord.test", logging.INFO, __file__, 1, "said: %s", (text,), None)
    raw = log.Redacting(()).format(record)
    assert (raw.count("\n"), raw.isascii(), raw.isprintable()) == (0, True, True)
    assert json.loads(raw)["said"] == f"said: {text}"


def test_a_traceback_stays_in_its_line(out: io.StringIO) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("ripcord.test").exception("a bug")
    (line,) = lines(out)
    assert "ValueError: first\nsecond" in line["trace"]


def test_a_message_whose_arguments_do_not_fit_is_one_line_too() -> None:
    def said(message: str, *args: object) -> str:
        record = logging.LogRecord("ripcord.test", logging.INFO, __file__, 1, message, args, None)
        line = log.Redacting([SECRET]).format(record)
        assert "\n" not in line
        return str(json.loads(line)["said"])

    assert said("%d of %d", "one") == "%d of %d ('one',)"
    assert said("%(name)s", {"other": SECRET}) == "%(name)s {'other': '***'}"


@pytest.mark.parametrize("secret", [SECRET, LINES])
def test_no_secret_leaves_in_any_form(out: io.StringIO, secret: str) -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    logger.setLevel(logging.DEBUG)
    try:
        raise ValueError(f"header {secret!r}")
    except ValueError:
        logger.debug("Authorization: %s", secret, exc_info=True)
    logger.debug("%r", {"token": secret})
    logger.debug(json.dumps({"token": secret}))
    logger.debug("GET /?key=%s", secret.replace("ü", "ü"))
    logger.setLevel(logging.NOTSET)
    said = [text for line in lines(out) for text in (line["said"], line.get("trace", ""))]
    assert len(said) == 8
    assert_leaks_no_secret([*said, out.getvalue()], secret.splitlines())


def test_a_longer_secret_is_taken_out_before_the_one_that_it_contains() -> None:
    assert log.Redacting(["abcdef", "abcdef-and-more"]).redact("x abcdef-and-more y abcdef") == "x *** y ***"


def test_one_line_of_a_key_of_several_lines_is_a_secret_as_well() -> None:
    assert log.Redacting([LINES]).redact("before second-line-of-a-key after") == "before *** after"


def test_what_is_too_short_to_be_a_secret_takes_no_word_out_of_the_log(out: io.StringIO) -> None:
    logging.getLogger("ripcord.test").info("a short sentence")
    assert lines(out)[0]["said"] == "a short sentence"


def test_a_logger_that_repeats_itself_is_held_to_a_few_lines_a_second() -> None:
    seldom = log.Seldom(3)

    def record(second: float) -> logging.LogRecord:
        made = logging.makeLogRecord({})
        made.created = second
        return made

    assert [seldom.filter(record(1.0 + n / 10)) for n in range(5)] == [True, True, True, False, False]
    assert seldom.filter(record(2.0))
