"""One environment for both doors, and no guessing."""

import dataclasses

import pytest

from tasks.settings import InvalidSettings, Settings, fields

URL = {"FOREBAY_DATABASE_URL": "postgresql://h/d"}


def test_the_database_url_alone_is_enough():
    settings = Settings.from_environ(URL)
    assert settings == Settings(database_url="postgresql://h/d")
    assert settings.queue_type == "quorum"


@pytest.mark.parametrize("environ", [{}, {"FOREBAY_DATABASE_URL": ""}])
def test_without_a_database_url_nothing_starts(environ):
    with pytest.raises(InvalidSettings, match="FOREBAY_DATABASE_URL is not set"):
        Settings.from_environ(environ)


def test_every_unknown_variable_is_named():
    environ = {**URL, "FOREBAY_PROT": "1", "FOREBAY_DATABASE": "x", "PATH": "/bin"}
    with pytest.raises(
        InvalidSettings, match="unknown settings: FOREBAY_DATABASE, FOREBAY_PROT"
    ):
        Settings.from_environ(environ)


def test_variables_are_read_as_their_types():
    settings = Settings.from_environ(
        {**URL, "FOREBAY_PORT": "81", "FOREBAY_LEASE_S": "1.5", "FOREBAY_HOST": "::"}
    )
    assert (settings.port, settings.lease_s, settings.host) == (81, 1.5, "::")


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("FOREBAY_PORT", "80.5", "int"),
        ("FOREBAY_PORT", "", "int"),
        ("FOREBAY_LEASE_S", "soon", "float"),
    ],
)
def test_a_value_of_another_type_is_named(name, text, kind):
    with pytest.raises(InvalidSettings, match=f"{name} must be a {kind}"):
        Settings.from_environ({**URL, name: text})


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_the_queue_type_is_one_that_rabbitmq_has(kind):
    settings = Settings.from_environ({**URL, "FOREBAY_QUEUE_TYPE": kind})
    assert settings.queue_type == kind


def test_another_queue_type_is_refused():
    with pytest.raises(InvalidSettings, match="must be quorum or classic"):
        Settings.from_environ({**URL, "FOREBAY_QUEUE_TYPE": "stream"})


def test_what_the_test_suite_and_make_read_is_not_ours_to_refuse():
    environ = {**URL, "FOREBAY_TEST_SERVERS": "docker", "FOREBAY_HOME": "var"}
    assert Settings.from_environ(environ) == Settings.from_environ(URL)


@pytest.mark.parametrize(
    ("url", "embedded"), [("filesystem://", True), ("amqp://h", False), ("", False)]
)
def test_the_broker_decides_whether_the_platform_is_embedded(url, embedded):
    assert Settings(broker_url=url).embedded is embedded


def test_every_setting_says_what_it_means_and_has_a_default_of_a_plain_type():
    for field in fields():
        assert field.metadata["doc"].endswith("."), field.name
        assert isinstance(field.default, str | int | float), field.name


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1


def test_a_tap_that_is_not_readable_is_refused_at_the_start():
    environ = {**URL, "FOREBAY_SOURCE_COMMANDS": "tap-a=/a; tap-b"}
    with pytest.raises(InvalidSettings, match="FOREBAY_SOURCE_COMMANDS: 'tap-b'"):
        Settings.from_environ(environ)
