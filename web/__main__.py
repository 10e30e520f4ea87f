"""``python -m web``: the HTTP door under gunicorn, one process with many threads."""

import os
from typing import Any

from gunicorn.app.base import BaseApplication

from tasks import telemetry
from tasks.settings import Settings


class _Server(BaseApplication):
    """gunicorn with our settings instead of its command line."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        chosen: dict[str, Any] = {
            "bind": f"{settings.host}:{settings.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": settings.threads,
            "timeout": 120,
            "graceful_timeout": 5,
            "keepalive": 30,
            "accesslog": None,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        from web.app import create_app  # noqa: PLC0415 - after gunicorn's fork

        return create_app(self._settings)


def main() -> None:
    """Serve until a stop signal."""
    settings = Settings.from_environ(os.environ)
    if not settings.secret_key:
        raise SystemExit("FOREBAY_SECRET_KEY is not set: any long random text will do")
    telemetry.configure(settings.log_level)
    _Server(settings).run()


if __name__ == "__main__":
    main()
