"""The options of a write: dryRun, fieldManager, fieldValidation."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.http import Request
from sandbox.kubernetes import errors

_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}


@dataclass(frozen=True)
class Options:
    manager: str
    dry_run: bool
    validation: str

    @property
    def strict(self) -> bool:
        return self.validation == "Strict"

    def warnings(self, complaints: list[str]) -> list[str]:
        return [] if self.validation == "Ignore" else complaints


def options(request: Request) -> Options:
    kind = _OPTIONS[request.method]
    dry = request.query.get("dryRun", [])
    if dry not in ([], ["All"]):
        shown = f"[{' '.join(f'{chr(34)}{one}{chr(34)}' for one in dry)}]"
        message = f'Unsupported value: {shown}: supported values: "All"'
        raise errors.bad_option(kind, "dryRun", "FieldValueNotSupported", message)
    agent = (request.headers.get("User-Agent") or "unknown").split("/")[0]
    return Options(request.first("fieldManager") or agent, bool(dry), request.first("fieldValidation", "Warn"))
