"""A whole web on a database with rows, and a browser that is signed in; the clock is the test's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.app import create_app
from server.store import people
from server.web.parts import Parts
from tests.web.conftest import parts_for, settings_for
from tests.web.rows import AT, World

COOKIE = "ripcord_session"


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = AT + timedelta(seconds=120)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        """Forward."""
        self.now += timedelta(**span)


@dataclass
class Site:
    """What a test of the pages holds."""

    app: Flask
    parts: Parts
    clock: Clock
    world: World
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def sign_in(self) -> None:
        """As a person does, by a link."""
        token = people.new_link(self.parts.writing, self.clock())
        assert self.client.post(f"/login/{token}").status_code == 303

    def get(self, path: str) -> TestResponse:
        """One page."""
        return self.client.get(path)

    def page(self, path: str) -> Page:
        """One page that is there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (path, answer.status, answer.text)
        return read(answer)


@contextmanager
def open_site(url: str, var: Path, public_url: str = "http://127.0.0.1:8080") -> Iterator[Site]:
    """A site on this database, closed afterwards."""
    clock = Clock()
    settings = replace(settings_for(url, var), public_url=public_url)
    parts = replace(parts_for(url, settings), settings=settings, now=clock)
    yield Site(create_app(settings, parts), parts, clock, World(parts.writing))
    parts.inbox.stop()
    for engine in (parts.inbox.engine, parts.reading, parts.writing):
        engine.dispose()


INLINE = {"a", "b", "bdi", "code", "ins"}
VOID = {"meta", "link", "input", "hr", "br", "use", "rect", "path", "option"}


@dataclass
class Element:
    """One start tag, and the text inside it."""

    tag: str
    given: dict[str, str]
    text: str = ""

    @property
    def classes(self) -> set[str]:
        """Its classes."""
        return set(self.given.get("class", "").split())


class Page(HTMLParser):
    """A page as elements with their text. A tag that does not close, or closes another one, is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = text
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self._open, [one.tag for one in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element."""
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, attrs)
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        self._apart(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of an SVG without content."""
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Closes the innermost element."""
        if tag in VOID:
            return
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._apart(self._open.pop())

    def _apart(self, element: Element) -> None:
        """What is not part of a line of text stands apart from it for a reader."""
        if element.tag not in INLINE and "name" not in element.classes:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        """Text belongs to everything that is open."""
        for element in self._open:
            element.text += data

    def find(self, tag: str, class_: str = "") -> list[Element]:
        """The elements of a tag and a class, in order."""
        return [one for one in self.elements if one.tag == tag and (not class_ or class_ in one.classes)]

    @property
    def text(self) -> str:
        """What is read, white space as one space."""
        return words(self.find("body")[0].text)

    @property
    def h1(self) -> str:
        """The first heading."""
        return words(self.find("h1")[0].text)


def words(text: str) -> str:
    """Text with one space between words, the unbreakable one too."""
    return " ".join(text.split())


def read(answer: TestResponse) -> Page:
    """The page of an answer."""
    return Page(answer.text)
