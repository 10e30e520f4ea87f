"""What the platform at a desk passes on to its processes."""

import pytest

from embedded.platform import NotReady, Platform
from tests.servers.ports import first_port


@pytest.fixture
def platform(tmp_path):
    made = Platform(tmp_path / "home", port=first_port(19_400))
    yield made
    made.stop()


def test_settings_of_the_environment_reach_every_process(platform, monkeypatch):
    monkeypatch.setenv("FOREBAY_WEBHOOK_HOSTS", "127.0.0.1")
    assert platform._environ()["FOREBAY_WEBHOOK_HOSTS"] == "127.0.0.1"


def test_what_the_desk_decides_itself_stays(platform, monkeypatch):
    monkeypatch.setenv("FOREBAY_BROKER_URL", "amqp://elsewhere/")
    assert platform._environ()["FOREBAY_BROKER_URL"] == "filesystem://"


def test_a_misspelt_setting_is_refused_before_anything_starts(platform, monkeypatch):
    monkeypatch.setenv("FOREBAY_WEBHOOK_HOST", "127.0.0.1")
    with pytest.raises(NotReady, match="FOREBAY_WEBHOOK_HOST"):
        platform._environ()


def test_a_home_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotReady, match="cannot be used"):
        Platform(tmp_path / "file" / "home", port=first_port(19_400))
