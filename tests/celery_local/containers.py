"""pytest-celery's container classes, told to look at local ports."""

from typing import Any, Protocol

from tests.celery_local.process import LocalProcess


class _Wrapper(Protocol):
    _container: LocalProcess


class LocalMixin:
    """Replaces the two questions a container answers by looking into itself."""

    def get_addr(self: _Wrapper, port: str) -> tuple[str, int]:
        """Return where this process serves what a container serves on ``port``."""
        published = self._container.attrs["NetworkSettings"]["Ports"][port]
        return "127.0.0.1", int(published[0]["HostPort"])

    def get_open_tcp_ports(self: _Wrapper) -> list[str]:
        """Return the inner ports; a started server has been waited for already."""
        ports = self._container.attrs["NetworkSettings"]["Ports"]
        return [port.partition("/")[0] for port in ports]


def local(cls: type, container: LocalProcess, **attributes: object) -> Any:
    """Wrap a process in a container class of pytest-celery or of a test's own.

    Attributes replace those of the class, such as ``vhost``.
    """
    return type(f"Local{cls.__name__}", (LocalMixin, cls), attributes)(container)
