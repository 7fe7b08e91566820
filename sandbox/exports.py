"""What a server needs to know of a sandbox: the settings, and the kubeconfig file that one of them names."""

from __future__ import annotations

from pathlib import Path

from sandbox.kubernetes import kubeconfig
from sandbox.pagerduty.account import BOT_EMAIL
from sandbox.start import Sandbox

VAR = Path(__file__).resolve().parent.parent / "var"


def write_kubeconfig(sandbox: Sandbox, folder: Path = VAR) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"sandbox-{sandbox.server.server_address[1]}.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(kubeconfig(sandbox.base_url), encoding="utf-8")
    return path


def settings(sandbox: Sandbox, kubeconfig: Path) -> dict[str, str]:
    """Name without RIPCORD_ -> value, in the order in which they are printed."""
    pagerduty, base = sandbox.world.pagerduty, sandbox.base_url
    return {
        "PAGERDUTY_URL": f"{base}/pagerduty",
        "PAGERDUTY_EVENTS_URL": f"{base}/pagerduty",
        "PAGERDUTY_API_KEY": pagerduty.account.api_key,
        "PAGERDUTY_FROM": BOT_EMAIL,
        "PAGERDUTY_WEBHOOK_SECRETS": pagerduty.webhook_secret,
        "PAGERDUTY_ACTION_SECRETS": pagerduty.account.action_secret,
        "KUBECONFIG": str(kubeconfig),
        "LAUNCHDARKLY_URL": f"{base}/launchdarkly",
        "LAUNCHDARKLY_TOKEN": sandbox.world.launchdarkly.token,
    }


def export_lines(values: dict[str, str]) -> str:
    return "".join(f"export RIPCORD_{name}='{value}'\n" for name, value in values.items())
