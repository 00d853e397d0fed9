"""Limits the sizes of folders and files: a folder is understood at a glance, and a file contains one concept."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("connections", "introspection", "modules", "runs", "scheduling", "pipekit_site")
MOST_MODULES, FEWEST_LINES, MOST_LINES = 20, 40, 280

# names of small files that exist in several packages, or that a framework looks for
SMALL = {
    "apps.py": "Django looks for it by name",
    "admin.py": "Django looks for it by name",
    "asgi.py": "servers look for it by name",
    "wsgi.py": "servers look for it by name",
    "urls.py": "Django looks for it by name",
    "models.py": "Django looks for it by name",
    "formats.py": "Django looks for it by name",
    "__main__.py": "Python looks for it by name",
    "querysets.py": "the query sets of an app, beside its models",
    "configfile.py": "the sections of an app in the configuration file",
    "import_export.py": "all sections together",
    "connector.py": "every kind of system has one",
    "datatypes.py": "every kind of system has one",
    "dialect.py": "every kind of system has one",
    "equality.py": "every kind of system whose values are compared has one",
    "local_server.py": "every kind of system with a server that sessions start has one",
    "own_metadata.py": "every kind of system that can hold the metadata has one",
    "url_syntax.py": "every kind of system with a URL of its own form has one",
}
# folders of which each file is one command, one strategy, one template library
SMALL_FOLDERS = ("management/commands", "runs/engine/strategies", "templatetags")
# the others, and why they stand alone
ALONE = {
    "connections/record_test_result.py": "the test of a stored connection, for the command and the admin",
    "connections/sdk/arrow/text_search.py": "used by checks and conversions of all systems",
    "connections/sdk/capabilities.py": "a promise to authors of connectors; imports nothing",
    "connections/daemon_thread.py": "for connection tests and notifications",
    "connections/sdk/process_memory.py": "the first import of every process; imports nothing",
    "connections/sdk/row_counts.py": "one check, for writers with and without Arrow",
    "connections/sdk/session_cleanup.py": "shared by jrunner and the connectors",
    "connections/sdk/sql/final_semicolon.py": "used by all drivers and by the engine",
    "connections/sdk/testing/selected.py": "the module that the plug-in's command line collects",
    "modules/implied_watermark.py": "used without Django, by the engine",
    "runs/cli/exit_code_by_status.py": "for all commands that wait",
    "runs/engine/hooks.py": "a step of a run",
    "runs/jrunner/routes/same_file.py": "for a route and for verifications",
    "runs/launchers/detach.py": "a program of its own, which imports nothing of Pipekit",
    "runs/models/storable.py": "for rows, and for what notifications say of them",
    "runs/notify/recipients.py": "known without importing the clients of SMTP and HTTP",
    "runs/prune/result.py": "shared by all steps",
    "scheduling/ticking.py": "installed crontab lines depend on its name",
    "scheduling/timestamps.py": "an option's type, for two commands",
    "pipekit_site/admin_ui/date_filter.py": "a filter of lists",
    "pipekit_site/doctor/notifications.py": "a topic of doctor's checks",
    "pipekit_site/local_zone.py": "used by the settings module",
    "pipekit_site/web/admin_config.py": "the admin site's configuration",
    "pipekit_site/web/csp.py": "a middleware",
    "pipekit_site/web/health.py": "a view",
}


def modules() -> list[Path]:
    return [
        file
        for app in APPS
        for file in sorted((ROOT / app).rglob("*.py"))
        if "migrations" not in file.parts and file.name != "__init__.py"
    ]


def lines(file: Path) -> int:
    return file.read_text().count("\n")


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_no_folder_has_more_than_twenty_modules() -> None:
    folders = {file.parent for file in (*modules(), *(ROOT / "tests").rglob("*.py"))}
    sizes = {named(folder): sum(1 for file in folder.glob("*.py") if file.name != "__init__.py") for folder in folders}
    assert {name: size for name, size in sizes.items() if size > MOST_MODULES} == {}


def test_no_file_is_too_long_to_be_read_in_one_go() -> None:
    assert {named(file): lines(file) for file in modules() if lines(file) > MOST_LINES} == {}


def test_small_files_have_a_reason() -> None:
    small = {
        named(file)
        for file in modules()
        if lines(file) < FEWEST_LINES and file.name not in SMALL and not named(file.parent).endswith(SMALL_FOLDERS)
    }
    assert small == set(ALONE)


def test_every_file_begins_with_a_docstring_of_one_sentence() -> None:
    first_lines = {named(file): file.read_text().split("\n", 1)[0] for file in modules()}
    assert {file: line for file, line in first_lines.items() if not line.startswith('"""') or len(line) <= 20} == {}
