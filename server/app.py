"""The Flask app: hangs the doors, the probes and the pages on one app. Decides nothing."""

from __future__ import annotations

from flask import Flask

from server.settings import Settings
from server.web import answers, health, pages, webhooks
from server.web.parts import Parts

__all__ = ["Parts", "create_app"]


def create_app(settings: Settings, parts: Parts) -> Flask:
    """The web of this installation."""
    app = Flask("server.web", static_folder="static", template_folder="templates")
    app.config.update(
        MAX_CONTENT_LENGTH=webhooks.LIMIT,
        MAX_FORM_MEMORY_SIZE=webhooks.LIMIT,
        SECRET_KEY=settings.secret_key,
        PROPAGATE_EXCEPTIONS=False,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    answers.hang(app)
    app.register_blueprint(webhooks.blueprint(parts))
    app.register_blueprint(health.blueprint(parts))
    pages.register(app, parts)
    return app
