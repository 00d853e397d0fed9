"""The guides describe all commands, options and settings, and their links resolve."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands

from connections import registry
from connections.configfile import CONNECTIONS
from connections.sdk.errors import PipekitError
from modules.configfile import GROUPS, MODULES
from modules.strategies import Strategy
from pipekit_site.config import config
from pipekit_site.web import help as help_pages
from runs.models import setting
from scheduling.configfile import SCHEDULES

DOCS = help_pages.DIRECTORY
ROOT = Path(settings.BASE_DIR)
NAMES = sorted(help_pages.names())
FILES = [ROOT / "README.md", *sorted(ROOT.glob(".github/*.md")), *sorted(DOCS.glob("*.md"))]


def links(file: Path) -> tuple[str, ...]:
    return help_pages.parse(file.stem, file.read_text()).links


def anchors(file: Path) -> set[str]:
    return {heading.anchor for heading in help_pages.parse(file.stem, file.read_text()).headings}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_relative_links_and_anchors_resolve(file: Path) -> None:
    for link in links(file):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists() and target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_guide_is_reachable_from_the_index() -> None:
    assert sorted([*help_pages.guides(), help_pages.INDEX]) == NAMES
    readme = set(links(ROOT / "README.md"))
    assert {f"pipekit_site/docs/{name}.md" for name in NAMES} <= readme


def test_every_image_is_used_and_below_80_kb() -> None:
    used = {link for name in NAMES for link in help_pages.page(name).links if link.endswith(".png")}
    images = list((DOCS / "images").iterdir())
    assert {f"images/{image.name}" for image in images} == used
    assert all(image.stat().st_size < 80_000 for image in images)


def codes(*names: str) -> set[str]:
    """Return the texts that the guides set as inline code, and the first word of each."""
    text = "\n".join((DOCS / f"{name}.md").read_text() for name in names or NAMES)
    texts = set(re.findall(r"`([^`\n]+)`", text))
    return texts | {re.split(r"[ :=]", code)[0] for code in texts}


def test_every_command_is_described() -> None:
    commands = {name for name, app in get_commands().items() if (ROOT / app.split(".")[0]).is_dir()}
    assert len(commands) > 20
    assert {*commands, "createsuperuser", "changepassword"} - codes("commands") == set()


def test_the_table_of_strategies_says_which_need_a_merge_key() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*?) ?\|$", (DOCS / "strategies.md").read_text(), re.MULTILINE)
    needs = {name: "`merge_key`" in needed for name, needed in rows if name in set(Strategy)}
    assert needs == {strategy.value: strategy.traits.needs_key for strategy in Strategy}


def subclasses(base: type[PipekitError]) -> Iterator[type[PipekitError]]:
    for error in base.__subclasses__():
        yield error
        yield from subclasses(error)


def test_every_error_code_is_described() -> None:
    # other tests define their own errors
    error_codes = {error.code for error in subclasses(PipekitError) if not error.__module__.startswith("tests")}
    assert {"safety_limit", "no_progress", "protected"} <= error_codes
    for file in ROOT.glob("*/management/commands/*.py"):
        error_codes |= set(re.findall(r'"(\w+)"', "".join(re.findall(r"code=.*", file.read_text()))))
    assert {"over_already", "address_in_use", "address_invalid"} <= error_codes
    assert error_codes - codes("commands") == set()


def test_every_key_of_the_configuration_file_is_described() -> None:
    sections = (CONNECTIONS, MODULES, GROUPS, SCHEDULES)
    fields = {field for section in sections for field in section.fields}
    fields |= {field for section in sections for part in section.parts for field in part.fields}
    parts = {part.name for section in sections for part in section.parts}
    assert {"jdbc_url", "full_publish", "resolver_sql", "catch_up", "members"} <= fields | parts
    assert (fields | parts | {section.name for section in sections}) - codes("set-up-a-sync") == set()


def test_every_key_of_config_yaml_variable_and_setting_is_described() -> None:
    described = codes("configuration")
    origins = config.origins()
    assert {key for key in origins if "." not in key} - described == set()
    assert set(config.VARIABLES) - described == set()
    assert set(setting.names()) - described == set()
    sections = dict(re.findall(r"^\| `(\w+): \{([^}]+)\}` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE))
    nested = [f"{section}.{key}" for section, keys in sections.items() for key in keys.split(", ")]
    assert sorted(nested) == sorted(key for key in origins if "." in key)


def test_every_kind_of_system_and_its_options_are_described() -> None:
    described = codes("systems")
    assert set(registry.kinds()) - described == set()
    options = {option.name for kind in registry.kinds() for option in registry.manifest(kind).parameters}
    assert options - described == set()


def test_every_path_in_the_guides_for_developers_exists() -> None:
    pattern = r"(?:connections|introspection|modules|runs|scheduling|pipekit_site)/[\w/]+(?:\.\w+)?/?"
    for name in ("architecture", "connectors", "contributing"):
        paths = {code for code in codes(name) if re.fullmatch(pattern, code)}
        assert paths
        assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_the_architecture_guide_lists_every_package() -> None:
    tree = (DOCS / "architecture.md").read_text()
    apps = ("connections", "introspection", "modules", "runs", "scheduling", "pipekit_site")
    packages = {
        file.parent.name
        for app in apps
        for file in (ROOT / app).rglob("__init__.py")
        if not {"migrations", "management", "commands", "formats", "en", "templatetags"} & {file.parent.name}
        and "connectors" not in file.parent.parent.parts
    }
    assert [name for name in sorted(packages) if not re.search(rf"^ *{name}/ ", tree, re.MULTILINE)] == []
