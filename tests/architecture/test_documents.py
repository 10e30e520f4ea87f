"""The reference pages, the samples and the Makefile agree with the code."""

import dataclasses
import re
import subprocess

import pytest

from tasks.catalog import QUEUES, job_types
from tasks.settings import PREFIX, Settings, fields
from tests.architecture import tree
from web.app import create_app

SETTINGS, JOB_TYPES, HTTP_API = (
    f"docs/reference/{name}.md" for name in ("settings", "job-types", "http-api")
)
SAMPLE, SERVICES = "compose/forebay.env.sample", "compose/compose.yaml"
PLATFORM = "embedded/platform.py"


def setting_rows() -> list[tuple[str, str, str]]:
    """Return what settings.md must say: variable, default, meaning."""
    return [
        (
            PREFIX + field.name.upper(),
            "" if field.default == "" else f"`{field.default}`",
            field.metadata["doc"],
        )
        for field in fields()
    ]


def test_every_setting_is_documented_with_its_default_and_meaning():
    told = re.findall(
        r"^\| `(\w+)` \| ?(.*?) ?\| (.*) \|$", tree.text(SETTINGS), re.MULTILINE
    )
    assert told == setting_rows()


def test_every_setting_has_a_type_that_a_text_can_become():
    environ = {
        PREFIX + field.name.upper(): str(field.default or "x")
        for field in fields()
        if field.name not in ("queue_type", "artifact_store", "source_commands")
    }
    found = dataclasses.asdict(Settings.from_environ(environ))
    for field in fields():
        assert isinstance(found[field.name], type(field.default)), field.name


@pytest.mark.parametrize("path", [SAMPLE, SERVICES])
def test_the_production_files_name_only_settings_that_exist(path):
    used = set(re.findall(rf"\b{PREFIX}\w+", tree.text(path)))
    assert used <= {name for name, _, _ in setting_rows()}
    assert path != SAMPLE or len(used) >= 5


def test_the_sample_of_production_can_be_read():
    lines = [line for line in tree.text(SAMPLE).splitlines() if "=" in line]
    pairs = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    settings = Settings.from_environ(pairs)
    assert not settings.embedded
    assert settings.secret_key


def part(heading: str) -> str:
    """Return the part of job-types.md under a heading."""
    _, _, rest = tree.text(JOB_TYPES).partition(f"\n## {heading}\n")
    assert rest, f"{JOB_TYPES} has no heading {heading}"
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize("name", job_types())
def test_every_job_type_is_documented_with_its_params(name):
    kind = job_types()[name]
    told = part(name)
    schema = kind.params.model_json_schema(by_alias=True)
    params, *nested = re.split(r"^\| field of `(\w+)` ", told, flags=re.MULTILINE)
    assert documented(params) == list(schema["properties"])
    for field, table in zip(nested[::2], nested[1::2], strict=True):
        inner = schema["$defs"][field.capitalize()]
        assert documented(table) == list(inner["properties"])
    assert f"Queue `{kind.queue}`" in " ".join(told.split())
    assert f"{kind.max_attempts} attempts" in told
    minutes = kind.timeout_s // 60
    length = f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} hour"
    assert f"{length}, " in " ".join(told.split())


def documented(table: str) -> list[str]:
    """Return the names in the first column of a table."""
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_no_job_type_is_documented_that_does_not_exist():
    headings = re.findall(r"^## (\S+)$", tree.text(JOB_TYPES), re.MULTILINE)
    assert headings == sorted(job_types())


def test_every_call_is_documented_and_no_other():
    app = create_app(Settings(database_url="postgresql://x/y"))
    served = {
        f"{method} " + re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    told = re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /\S*)`", tree.text(HTTP_API))
    assert len(told) == len(set(told))
    assert set(told) == served


@pytest.mark.parametrize("path", [SERVICES, PLATFORM])
def test_every_queue_is_consumed(path):
    consumed = re.findall(r"--queues=([\w,]+)", tree.text(path))
    assert sorted(",".join(consumed).split(",")) == sorted(QUEUES)


@pytest.mark.parametrize("path", [SERVICES, PLATFORM])
@pytest.mark.parametrize("role", ["web", "dispatcher", "worker", "beat"])
def test_every_process_is_started(path, role):
    assert f'"{role}"' in tree.text(path)


def test_every_job_type_has_a_queue_that_exists():
    assert {kind.queue for kind in job_types().values()} <= set(QUEUES)


def targets() -> tuple[set[str], set[str]]:
    """Return the targets that `make help` lists, and all there are."""
    listed = subprocess.run(
        ["make", "-s", "help"],
        cwd=tree.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    helped = {line.split()[0] for line in listed.stdout.splitlines() if line.strip()}
    (phony,) = re.findall(r"^\.PHONY: (.*)$", tree.text("Makefile"), re.MULTILINE)
    return helped, set(phony.split())


def test_make_help_lists_every_target_or_the_one_it_is_part_of():
    helped, all_of_them = targets()
    lines = re.findall(r"^(\w+):(.*?)(?:##|$)", tree.text("Makefile"), re.MULTILINE)
    parts = {
        word for name, needed in lines if name in helped for word in needed.split()
    }
    assert helped <= all_of_them
    assert all_of_them - helped <= parts
    assert {"setup", "run", "test", "check"} <= helped


def test_the_readme_names_every_target():
    _, all_of_them = targets()
    told = set(re.findall(r"`make ([a-z-]+)`", tree.text("README.md")))
    assert told >= all_of_them


def test_the_readme_names_every_room():
    for room in (*tree.ROOMS, "compose", "tests"):
        assert f"`{room}/`" in tree.text("README.md")


def test_what_documents_name_as_a_setting_exists():
    known = {name for name, _, _ in setting_rows()}
    known |= {f"{PREFIX}HOME", f"{PREFIX}TEST_SERVERS"}
    for path in tree.files(".md"):
        used = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", tree.text(path)))
        assert used <= known, path
