"""The environment, read once into one frozen value that refuses nonsense. No default for a secret.

Each RIPCORD_X may also be given as RIPCORD_X_FILE, the path of a file that holds it (the last line break is dropped).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from server.errors import Misconfigured

UPSTREAM = (
    "PAGERDUTY_URL",
    "PAGERDUTY_EVENTS_URL",
    "PAGERDUTY_API_KEY",
    "PAGERDUTY_FROM",
    "KUBECONFIG",
    "LAUNCHDARKLY_URL",
    "LAUNCHDARKLY_TOKEN",
    "PROMETHEUS_URL",
)
"""What only an executing process may hold: `web` refuses to start when it sees one of them."""


@dataclass(frozen=True)
class Settings:
    """RIPCORD_…, in lower case. Secrets do not appear in repr."""

    database_url: str = field(repr=False)
    listen: str = "127.0.0.1:8080"
    public_url: str = "http://127.0.0.1:8080"
    runbooks: Path = Path("runbooks")
    var: Path = Path("var")
    secret_key: str = field(default="", repr=False)
    pagerduty_url: str = "https://api.pagerduty.com"
    pagerduty_events_url: str = "https://events.pagerduty.com"
    pagerduty_api_key: str = field(default="", repr=False)
    pagerduty_from: str = ""
    pagerduty_webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    pagerduty_action_secrets: tuple[str, ...] = field(default=(), repr=False)
    argo_rollouts_tokens: tuple[str, ...] = field(default=(), repr=False)
    kubeconfig: str = ""
    launchdarkly_url: str = "https://app.launchdarkly.com"
    launchdarkly_token: str = field(default="", repr=False)
    prometheus_url: str = ""

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rsplit(":", 1)[0]

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.listen.rsplit(":", 1)[1])

    @property
    def stop_file(self) -> Path:
        """The stop switch is on while this file exists; its first line is the reason."""
        return self.var / "stop"

    def secrets(self) -> tuple[str, ...]:
        """Every secret that must leave nowhere."""
        return tuple(
            text
            for text in (
                _password(self.database_url),
                self.secret_key,
                self.pagerduty_api_key,
                self.launchdarkly_token,
                *self.pagerduty_webhook_secrets,
                *self.pagerduty_action_secrets,
                *self.argo_rollouts_tokens,
            )
            if text
        )

    @staticmethod
    def from_env(environ: Mapping[str, str] | None = None, *, web: bool = False) -> Settings:
        """Reads the environment (or `environ`). web: refuse upstream credentials, which the web has no use for."""
        env = os.environ if environ is None else environ
        if web and (seen := [f"RIPCORD_{name}" for name in UPSTREAM if _get(env, name)]):
            raise Misconfigured(
                f"the web process must not hold {', '.join(seen)}: unset it, only `serve` and `worker` act"
            )
        var = Path("var")
        listen = _listen(_get(env, "LISTEN") or "127.0.0.1:8080")
        return Settings(
            database_url=_database(_get(env, "DATABASE_URL"), var),
            listen=listen,
            public_url=_url("PUBLIC_URL", _get(env, "PUBLIC_URL") or f"http://{listen}"),
            runbooks=Path(_get(env, "RUNBOOKS") or "runbooks"),
            var=var,
            secret_key=_get(env, "SECRET_KEY") or _own_secret(var / "secret.key"),
            pagerduty_url=_url("PAGERDUTY_URL", _get(env, "PAGERDUTY_URL") or "https://api.pagerduty.com"),
            pagerduty_events_url=_url(
                "PAGERDUTY_EVENTS_URL", _get(env, "PAGERDUTY_EVENTS_URL") or "https://events.pagerduty.com"
            ),
            pagerduty_api_key=_get(env, "PAGERDUTY_API_KEY"),
            pagerduty_from=_get(env, "PAGERDUTY_FROM"),
            pagerduty_webhook_secrets=_list(_get(env, "PAGERDUTY_WEBHOOK_SECRETS")),
            pagerduty_action_secrets=_list(_get(env, "PAGERDUTY_ACTION_SECRETS")),
            argo_rollouts_tokens=_list(_get(env, "ARGO_ROLLOUTS_TOKENS")),
            kubeconfig=_get(env, "KUBECONFIG") or env.get("KUBECONFIG", ""),
            launchdarkly_url=_url("LAUNCHDARKLY_URL", _get(env, "LAUNCHDARKLY_URL") or "https://app.launchdarkly.com"),
            launchdarkly_token=_get(env, "LAUNCHDARKLY_TOKEN"),
            prometheus_url=_get(env, "PROMETHEUS_URL") and _url("PROMETHEUS_URL", _get(env, "PROMETHEUS_URL")),
        )


def _get(env: Mapping[str, str], name: str) -> str:
    path = env.get(f"RIPCORD_{name}_FILE")
    if path is None:
        return env.get(f"RIPCORD_{name}", "").strip()
    if env.get(f"RIPCORD_{name}"):
        raise Misconfigured(f"RIPCORD_{name} and RIPCORD_{name}_FILE are both set: keep one")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"RIPCORD_{name}_FILE: {path} cannot be read ({type(error).__name__})") from error


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _url(name: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(char.isspace() or not char.isprintable() for char in text):
        raise Misconfigured(f"RIPCORD_{name}: expected an http or https URL, not {_shown(text)}")
    return text.rstrip("/")


def _shown(text: str) -> str:
    """A wrong value as it may be said: without what stands before an @, which may be a password."""
    return repr(text.rpartition("@")[2][:100])


def _password(url: str) -> str:
    """The password in a URL, as it stands there."""
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise Misconfigured(f"RIPCORD_LISTEN: expected host:port, for example 127.0.0.1:8080, not {text!r}")
    return text


def _database(text: str, var: Path) -> str:
    if not text:
        var.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{(var / 'ripcord.db').absolute()}"
    if text.startswith(("postgresql://", "postgresql+psycopg://")):
        return text
    if text.startswith("sqlite:///") and text != "sqlite:///" and ":memory:" not in text:
        return text
    raise Misconfigured("RIPCORD_DATABASE_URL: expected postgresql://… or sqlite:///file")


def _own_secret(path: Path) -> str:
    """A secret of this installation's own, made once, readable by its owner alone."""
    if not path.exists():
        # Written whole under another name and then put in place: two processes that start together take the same one.
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    try:
        found = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read ({type(error).__name__})") from error
    if len(found) < 32:
        raise Misconfigured(f"{path}: expected at least 32 characters; remove the file and a new one is made")
    return found
