"""The environment, read once: what is taken, what is refused in one sentence, and that no secret shows."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.errors import Misconfigured
from server.settings import UPSTREAM, Settings
from tests.support.leaks import assert_leaks_no_secret

NOT_FOR_ANYBODY = "not-for-anybody-0815"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """var/ is made in the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*, web: bool = False, **given: str) -> Settings:
    return Settings.from_env({f"RIPCORD_{name}": text for name, text in given.items()}, web=web)


def refusal(*, web: bool = False, **given: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        read(web=web, **given)
    assert "\n" not in caught.value.said
    return caught.value.said


# ---- what is taken ----


def test_without_any_setting_it_is_sqlite_on_loopback(elsewhere: Path) -> None:
    settings = read()
    assert settings.database_url == f"sqlite:///{elsewhere / 'var' / 'ripcord.db'}"
    assert (settings.listen, settings.public_url) == ("127.0.0.1:8080", "http://127.0.0.1:8080")
    assert (settings.host, settings.port, settings.runbooks) == ("127.0.0.1", 8080, Path("runbooks"))
    assert (settings.pagerduty_webhook_secrets, settings.pagerduty_api_key) == ((), "")


def test_the_public_url_follows_the_address_and_loses_its_last_slash() -> None:
    assert read(LISTEN="0.0.0.0:9000").public_url == "http://0.0.0.0:9000"
    assert read(PUBLIC_URL="https://ripcord.example/").public_url == "https://ripcord.example"


def test_secrets_are_a_list_with_commas_between() -> None:
    assert read(PAGERDUTY_WEBHOOK_SECRETS=" one-secret , ,two-secret ").pagerduty_webhook_secrets == (
        "one-secret",
        "two-secret",
    )


def test_a_setting_may_stand_in_a_file_and_its_last_line_break_is_dropped(elsewhere: Path) -> None:
    (elsewhere / "key").write_text("the-key\n", encoding="utf-8")
    assert read(PAGERDUTY_API_KEY_FILE=str(elsewhere / "key")).pagerduty_api_key == "the-key"


def test_the_kubeconfig_falls_back_to_the_usual_variable() -> None:
    assert Settings.from_env({"KUBECONFIG": "/a"}).kubeconfig == "/a"
    assert Settings.from_env({"KUBECONFIG": "/a", "RIPCORD_KUBECONFIG": "/b"}).kubeconfig == "/b"


@pytest.mark.parametrize("url", ["postgresql://u:p@h/d", "postgresql+psycopg://h/d", "sqlite:////tmp/x.db"])
def test_both_databases_are_taken(url: str) -> None:
    assert read(DATABASE_URL=url).database_url == url


# ---- what is refused ----


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "host:", "host:0", "host:65536", "host:x", "host:²", "host:-1", "h:" + "9" * 9]
)
def test_an_address_without_host_and_port_is_refused(text: str) -> None:
    assert refusal(LISTEN=text).startswith("RIPCORD_LISTEN: expected host:port")


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "ftp://h",
        "http://",
        "http://[",
        "http://h:99999",
        "http://h:x",
        "file:///etc",
        "http://a b",
        "http://h\x1b[2J",
    ],
)
@pytest.mark.parametrize(
    "name", ["PUBLIC_URL", "PAGERDUTY_URL", "PAGERDUTY_EVENTS_URL", "LAUNCHDARKLY_URL", "PROMETHEUS_URL"]
)
def test_what_is_no_web_address_is_refused_by_name(name: str, text: str) -> None:
    assert refusal(**{name: text}).startswith(f"RIPCORD_{name}: expected an http or https URL, not ")


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///", "sqlite:///:memory:", "postgres://h/d", "x"])
def test_any_other_database_is_refused(url: str) -> None:
    assert refusal(DATABASE_URL=url) == "RIPCORD_DATABASE_URL: expected postgresql://… or sqlite:///file"


def test_a_refusal_never_quotes_a_password() -> None:
    said = [
        refusal(PROMETHEUS_URL=f"ftp://user:{NOT_FOR_ANYBODY}@prometheus"),
        refusal(DATABASE_URL=f"mysql://user:{NOT_FOR_ANYBODY}@db/x"),
    ]
    assert_leaks_no_secret(said, [NOT_FOR_ANYBODY])
    assert "'prometheus'" in said[0]


def test_a_setting_that_is_given_twice_is_refused(elsewhere: Path) -> None:
    (elsewhere / "key").write_text("x", encoding="utf-8")
    both = {"PAGERDUTY_API_KEY": "a", "PAGERDUTY_API_KEY_FILE": str(elsewhere / "key")}
    assert refusal(**both) == "RIPCORD_PAGERDUTY_API_KEY and RIPCORD_PAGERDUTY_API_KEY_FILE are both set: keep one"


def test_a_file_that_cannot_be_read_is_named(elsewhere: Path) -> None:
    assert (
        refusal(PAGERDUTY_API_KEY_FILE="gone")
        == "RIPCORD_PAGERDUTY_API_KEY_FILE: gone cannot be read (FileNotFoundError)"
    )
    (elsewhere / "bytes").write_bytes(b"\xff\xfe")
    assert refusal(PAGERDUTY_API_KEY_FILE="bytes").endswith("bytes cannot be read (UnicodeDecodeError)")
    assert "cannot be read" in refusal(PAGERDUTY_API_KEY_FILE="")


# ---- the web holds no credential ----


@pytest.mark.parametrize("name", UPSTREAM)
def test_the_web_refuses_what_only_an_executing_process_may_hold(name: str) -> None:
    said = refusal(web=True, **{name: NOT_FOR_ANYBODY})
    assert f"RIPCORD_{name}" in said
    assert_leaks_no_secret([said], [NOT_FOR_ANYBODY])


def test_the_web_takes_what_it_needs() -> None:
    settings = read(
        web=True, PAGERDUTY_WEBHOOK_SECRETS="one-secret", PAGERDUTY_ACTION_SECRETS="b", ARGO_ROLLOUTS_TOKENS="c"
    )
    assert settings.pagerduty_webhook_secrets == ("one-secret",)


# ---- secrets ----


def test_no_secret_shows_in_the_settings_and_all_are_known_to_the_log() -> None:
    given = {
        name: f"{NOT_FOR_ANYBODY}-{name}"
        for name in ("PAGERDUTY_API_KEY", "PAGERDUTY_WEBHOOK_SECRETS", "PAGERDUTY_ACTION_SECRETS", "LAUNCHDARKLY_TOKEN",
                     "ARGO_ROLLOUTS_TOKENS", "SECRET_KEY")
    }  # fmt: skip
    settings = read(**given, DATABASE_URL=f"postgresql://user:{NOT_FOR_ANYBODY}@db/x")
    assert_leaks_no_secret([repr(settings), str(settings)], [*given.values(), NOT_FOR_ANYBODY])
    assert set(settings.secrets()) == {*given.values(), NOT_FOR_ANYBODY}


def test_what_is_not_set_is_no_secret() -> None:
    assert read(SECRET_KEY="x" * 32).secrets() == ("x" * 32,)


def test_an_installation_makes_its_own_key_once_and_for_its_owner_alone(elsewhere: Path) -> None:
    key = read().secret_key
    path = elsewhere / "var" / "secret.key"
    assert (len(key), read().secret_key, stat.S_IMODE(path.stat().st_mode)) == (64, key, 0o600)
    assert [one.name for one in path.parent.iterdir()] == ["secret.key"]


def test_processes_that_start_together_take_the_same_key() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({settings.secret_key for settings in pool.map(lambda _: read(), range(32))}) == 1


def test_an_empty_key_is_refused(elsewhere: Path) -> None:
    (elsewhere / "var").mkdir()
    (elsewhere / "var" / "secret.key").write_text("\n", encoding="ascii")
    assert refusal().startswith("var/secret.key: expected at least 32 characters")
