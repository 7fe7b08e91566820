"""The way in, on both databases: one printed link, good once, for fifteen minutes; a cookie that tells nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from server import db
from server.cli import token as cli
from server.errors import Misconfigured
from server.store import people
from server.store.tables import login_links, sessions
from tests.web.conftest import settings_for
from tests.web.site import COOKIE, Site, open_site, read


@pytest.fixture
def site(migrated_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site with nobody signed in."""
    with open_site(migrated_url, tmp_path) as opened:
        yield opened


def link(site: Site) -> str:
    """The path of a new link."""
    return f"/login/{people.new_link(site.parts.writing, site.clock())}"


def cookie(answer: TestResponse) -> SimpleCookie:
    """The cookie that an answer sets."""
    return SimpleCookie(answer.headers["Set-Cookie"])


def inside(site: Site) -> bool:
    """Whether this browser is let in."""
    answer = site.get("/")
    assert answer.status_code in (200, 303)
    return answer.status_code == 200


def test_the_link_shows_a_button_whose_form_has_no_other_field(site: Site) -> None:
    path = link(site)
    page = read(site.get(path))
    assert [(one.given["method"], one.given["action"]) for one in page.find("form")] == [("post", path)]
    assert [one.text for one in page.find("button")] == ["Sign in"]
    assert not page.find("input")


def test_the_button_signs_in_and_leads_to_the_first_page(site: Site) -> None:
    assert not inside(site)
    answer = site.client.post(link(site))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert inside(site)
    assert "Signed in by link, admin" in read(site.get("/")).text


def test_looking_at_the_link_uses_nothing_up_and_signs_nobody_in(site: Site) -> None:
    path = link(site)
    for _ in range(3):
        assert "Set-Cookie" not in site.get(path).headers
        assert "Set-Cookie" not in site.client.head(path).headers
    assert not inside(site)
    assert site.client.post(path).status_code == 303


def test_a_link_is_good_once(site: Site) -> None:
    path = link(site)
    assert site.client.post(path).status_code == 303
    for answer in (site.client.post(path), site.get(path)):
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers


def test_of_many_who_press_at_once_one_is_let_in(site: Site) -> None:
    path = link(site)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: site.app.test_client().post(path).status_code, range(16)))
    assert sorted(answers) == [303] + [403] * 15


def test_a_link_is_good_for_fifteen_minutes(site: Site) -> None:
    early, late = link(site), link(site)
    site.clock.move(minutes=14, seconds=59)
    assert site.client.post(early).status_code == 303
    site.clock.move(seconds=2)
    assert site.client.post(late).status_code == 403


def test_a_session_lasts_twelve_hours(site: Site) -> None:
    site.client.post(link(site))
    # The browser would drop the cookie by its own clock; the server must not let it in either.
    value = site.client.get_cookie(COOKIE)
    assert value is not None
    stranger = site.app.test_client()
    stranger.set_cookie(COOKIE, value.value)
    site.clock.move(hours=11, minutes=59)
    assert stranger.get("/").status_code == 200
    site.clock.move(minutes=2)
    assert stranger.get("/").status_code == 303


def test_used_old_and_invented_links_get_the_same_answer(site: Site) -> None:
    used, old = link(site), link(site)
    site.client.post(used)
    site.clock.move(minutes=16)
    stranger = site.app.test_client()
    invented = ["/login/x", f"/login/{'A' * 43}", "/login/%00", "/login/%ff", "/login/" + "x" * 4000]
    for method in ("GET", "POST"):
        answers = [stranger.open(path, method=method) for path in (used, old, *invented)]
        assert {answer.status_code for answer in answers} == {403}
        assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize(
    "value", ["", "x", "A" * 43, "%00", "é", "x" * 4000, "'; DROP TABLE sessions --", "../../etc/passwd"]
)
def test_no_invented_cookie_is_let_in(site: Site, value: str) -> None:
    site.client.post(link(site))
    stranger = site.app.test_client()
    assert stranger.get("/", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 303


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(site: Site) -> None:
    set_cookie = cookie(site.client.post(link(site)))[COOKIE]
    assert set_cookie["httponly"] is True
    assert set_cookie["samesite"] == "Lax"
    assert set_cookie["path"] == "/"
    assert set_cookie["max-age"] == "43200"
    assert not set_cookie["secure"]
    assert not set_cookie["domain"]


def test_the_cookie_is_secure_where_the_public_url_is_https(migrated_url: str, tmp_path: Path) -> None:
    with open_site(migrated_url, tmp_path, "https://ripcord.example") as site:
        assert cookie(site.client.post(link(site)))[COOKIE]["secure"] is True


def test_a_cookie_from_before_the_sign_in_is_never_taken_over(site: Site) -> None:
    planted = "planted-by-somebody-else"
    site.client.set_cookie(COOKIE, planted)
    fresh = cookie(site.client.post(link(site)))[COOKIE].value
    assert fresh != planted
    stranger = site.app.test_client()
    stranger.set_cookie(COOKIE, planted)
    assert stranger.get("/").status_code == 303


def test_the_database_holds_hashes_alone(site: Site) -> None:
    path = link(site)
    session = cookie(site.client.post(path))[COOKIE].value
    token = path.removeprefix("/login/")
    with site.parts.reading.connect() as connection:
        links = [tuple(row) for row in connection.execute(sa.select(login_links))]
        kept = [tuple(row) for row in connection.execute(sa.select(sessions))]
    assert links[0][0] == hashlib.sha256(token.encode()).hexdigest()
    assert kept[0][0] == hashlib.sha256(session.encode()).hexdigest()
    assert token not in repr(links)
    assert session not in repr(kept)


def test_tokens_are_long_and_never_the_same(site: Site) -> None:
    tokens = [link(site).removeprefix("/login/") for _ in range(20)]
    assert len(set(tokens)) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)


@pytest.mark.parametrize("came_from", ["cross-site", "same-site"])
def test_another_site_cannot_press_the_button(site: Site, came_from: str) -> None:
    path = link(site)
    answer = site.client.post(path, headers={"Sec-Fetch-Site": came_from})
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert site.client.post(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_no_header_and_no_query_leads_a_sign_in_off_the_site(site: Site) -> None:
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    answer = site.client.post(f"{link(site)}?next=https://evil.example/", headers=evil)
    assert answer.headers["Location"] == "/"
    assert "evil" not in str(answer.headers)
    stranger = site.app.test_client().get("/audit?next=//evil.example", headers=evil)
    assert stranger.headers["Location"] == "/login"


def test_whoever_is_not_signed_in_is_told_how_to_get_a_link(site: Site) -> None:
    page = read(site.get("/login"))
    assert page.find("pre", "take")[0].text == "./ripcord token link"
    assert not page.find("nav")


def test_old_links_and_sessions_are_cleared_away(site: Site) -> None:
    for _ in range(3):
        site.client.post(link(site))
    site.clock.move(hours=13)
    site.client.post(link(site))
    with site.parts.reading.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(login_links)).scalar() == 1
        assert connection.execute(sa.select(sa.func.count()).select_from(sessions)).scalar() == 1


# ./ripcord token ----------------------------------------------------------------------------------------------------


def test_token_link_prints_one_line_the_url_and_it_signs_in(
    migrated_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(settings_for(migrated_url, tmp_path), public_url="https://ripcord.example")
    assert cli.main(["link"], settings) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"https://ripcord\.example/login/[A-Za-z0-9_-]{43}\n", out)
    assert err == ""
    engine = db.writing(migrated_url)
    with engine.connect() as connection:
        made = connection.execute(sa.select(login_links.c.expires_at)).scalar_one()
    token = out.strip().removeprefix("https://ripcord.example/login/")
    assert people.sign_in(engine, token, made - people.LINK_LASTS) is not None
    engine.dispose()


def test_token_link_without_tables_is_one_clear_sentence(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"^token link: .*\./ripcord migrate$"):
        cli.main(["link"], settings_for(database_url, tmp_path))


@pytest.mark.parametrize(
    ("args", "code"), [(["create"], 1), (["list"], 1), (["revoke", "x"], 1), ([], 2), (["nonsense"], 2)]
)
def test_what_token_cannot_do_is_said_on_stderr(
    args: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(args, settings_for("sqlite:////nowhere/x.db", tmp_path)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
