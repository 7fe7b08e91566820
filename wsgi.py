"""gunicorn's door: the web alone, `gunicorn wsgi:app`. It never executes a run and holds no upstream credential."""

from __future__ import annotations

from server.cli.serve import application
from server.settings import Settings

app = application(Settings.from_env(web=True))
