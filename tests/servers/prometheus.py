"""A private Prometheus that scrapes and judges several times a second."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from tests.servers.server import Server

# A scrape may take as long as its interval; the rules read only what is kept already.
SCRAPE_EVERY = "1s"
JUDGE_EVERY = "200ms"
ROUND_WITHIN_S = 30
POLL_S = 0.05


class PrometheusServer(Server):
    """Prometheus from the Debian package.

    Args:
        target: host and port that has ``/metrics``, scraped as the job ``forebay``.
        rules: the file with the alert rules.
    """

    name = "prometheus"

    def __init__(self, *, target: str, rules: Path) -> None:
        super().__init__()
        self.target = target
        self.rules = rules

    def answers(self) -> bool:
        """Tell whether it is ready to be asked."""
        try:
            return requests.get(f"{self._base}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        found = self._ask("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in found if one["state"] == "firing"}

    def await_round(self, *, after: float) -> None:
        """Wait until what a scrape begun after a moment of ``time.time()`` is judged.

        Raises:
            TimeoutError: it takes far too long.
        """
        ends_at = time.monotonic() + ROUND_WITHIN_S
        while self._scraped_at() <= after:
            _pause(ends_at, self.logs())
        scraped = time.time()
        while self._judged_at() <= scraped:
            _pause(ends_at, self.logs())

    def _scraped_at(self) -> float:
        # It knows no target for the first seconds.
        found = self._ask("targets")["activeTargets"]
        return max((_seconds(one["lastScrape"]) for one in found), default=0.0)

    def _judged_at(self) -> float:
        (group,) = self._ask("rules")["groups"]
        return _seconds(group["lastEvaluation"])

    def _ask(self, what: str) -> Any:
        answer = requests.get(f"{self._base}/api/v1/{what}", timeout=5)
        answer.raise_for_status()
        return answer.json()["data"]

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _create(self, directory: Path) -> None:
        # JSON is YAML.
        settings = {
            "global": {
                "scrape_interval": SCRAPE_EVERY,
                "scrape_timeout": SCRAPE_EVERY,
                "evaluation_interval": JUDGE_EVERY,
            },
            "rule_files": [str(self.rules)],
            "scrape_configs": [
                {
                    "job_name": "forebay",
                    "static_configs": [{"targets": [self.target]}],
                }
            ],
        }
        (directory / "prometheus.yml").write_text(json.dumps(settings))

    def _command(self) -> list[str]:
        return [
            "prometheus",
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'content'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _pause(ends_at: float, log: str) -> None:
    if time.monotonic() > ends_at:
        raise TimeoutError(f"Prometheus does not come round; its log:\n{log[-2000:]}")
    time.sleep(POLL_S)
