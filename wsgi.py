"""gunicorn's door: `gunicorn -k gthread -w 1 --threads 16 wsgi:app`. The web alone; it never executes a run."""

from __future__ import annotations

from server.cli.serve import application
from server.settings import Settings

app = application(Settings.from_env(web=True))
