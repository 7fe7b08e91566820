"""The demo's second process: the server, as a person would start it, in an environment that holds nothing of the caller's."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox.exports import VAR

ROOT = VAR.parent
TAKEN = ("LISTEN", "DATABASE_URL", "PUBLIC_URL")
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


class CannotPlay(Exception):
    """One clear sentence; the demo ends with exit 1."""


@dataclass(frozen=True)
class Place:
    """Where the server listens, and where its data lies."""

    listen: str
    host: str
    port: int
    settings: dict[str, str]
    database: Path | None

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "[::]", "") else self.host
        return f"http://{host}:{self.port}"


def place(environ: Mapping[str, str]) -> Place:
    given = {name: text for name in TAKEN if (text := _get(environ, name))}
    listen = given.get("LISTEN", "127.0.0.1:8080")
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise CannotPlay(f"RIPCORD_LISTEN is {listen!r}, wanted host:port")
    database = None if "DATABASE_URL" in given else VAR / "demo.db"
    settings = {"DATABASE_URL": f"sqlite:///{database}", **given, "LISTEN": listen}
    return Place(listen, host, int(port), {f"RIPCORD_{name}": text for name, text in settings.items()}, database)


def ignored(environ: Mapping[str, str]) -> list[str]:
    """What the caller has set and the demo will not look at: it never touches the world."""
    taken = {f"RIPCORD_{name}{end}" for name in TAKEN for end in ("", "_FILE")}
    return sorted(
        name for name in environ if name == "KUBECONFIG" or (name.startswith("RIPCORD_") and name not in taken)
    )


def must_be_free(where: Place) -> None:
    with socket.socket(socket.AF_INET6 if ":" in where.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((where.host.strip("[]"), where.port))
        except (OSError, OverflowError) as bad:
            raise CannotPlay(
                f"{where.listen} cannot be listened on ({bad}): set RIPCORD_LISTEN=host:port to another one"
            ) from None


def start_anew(where: Place) -> None:
    """The demo's own database is new at each start; one that the caller named is left alone."""
    VAR.mkdir(parents=True, exist_ok=True)
    if where.database is not None:
        for end in ("", "-wal", "-shm", "-journal"):
            Path(f"{where.database}{end}").unlink(missing_ok=True)


class Server:
    """`python -m server serve`: its printed lines are read, its log goes to a file."""

    def __init__(self, where: Place, upstreams: Mapping[str, str]) -> None:
        self.where, self.link = where, ""
        self.log = VAR / "demo-server.log"
        self.printed: deque[str] = deque(maxlen=20)
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        kept |= {name: text for name, text in os.environ.items() if name.startswith(("PYTHON", "LC_"))}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server", "serve"],
                cwd=ROOT,
                env=kept | where.settings | dict(upstreams),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # A Ctrl-C is the demo's to handle: it ends the server in its own order.
                start_new_session=True,
            )
        threading.Thread(target=self._read, name="server's lines", daemon=True).start()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait_until_ready(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not self._ready():
            if self.ended:
                raise CannotPlay(f"the server did not start: {self._last_words()} (its log: {self.log})")
            if time.monotonic() > until:
                raise CannotPlay(f"the server was not ready within {seconds:g} s, its log is {self.log}")
            time.sleep(0.05)

    def end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection(self.where.base_url.removeprefix("http://"), timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _read(self) -> None:
        stdout = self._process.stdout
        for line in stdout or ():
            self.printed.append(line.strip())
            if "/login/" in line:
                self.link = next(word for word in line.split() if "/login/" in word)

    def _last_words(self) -> str:
        logged = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        words = logged[-1:] or list(self.printed)[-1:]
        return words[0] if words else f"exit {self._process.returncode}, and it said nothing"


def _get(environ: Mapping[str, str], name: str) -> str:
    if path := environ.get(f"RIPCORD_{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as bad:
            raise CannotPlay(f"RIPCORD_{name}_FILE: {path} cannot be read ({type(bad).__name__})") from None
    return environ.get(f"RIPCORD_{name}", "").strip()
