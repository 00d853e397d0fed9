"""Export and import of the whole configuration as one YAML file, for `exportconfig` and `importconfig`."""

from __future__ import annotations

from connections.configfile import CONNECTIONS
from connections.models import Driver
from modules.configfile import GROUPS, MODULES
from pipekit_site.configfile.apply_sections import ImportOptions
from pipekit_site.configfile.export import export_sections
from pipekit_site.configfile.import_file import ImportResult, import_sections
from runs.models import Run
from scheduling.configfile import SCHEDULES

# in order of dependency: each refers only to those before it
SECTIONS = (CONNECTIONS, MODULES, GROUPS, SCHEDULES)


def dump() -> str:
    """Return the configuration as YAML; it contains references to secrets, never secrets."""
    return export_sections(SECTIONS)


def load(text: str | bytes, *, name: str, actor: str, dry_run: bool = False, prune: bool = False) -> ImportResult:
    """Import a file's text. Raises FileInvalid with all its errors, and changes nothing then."""
    # kinds may have been installed since the last migration
    Driver.objects.synchronize()
    data = text.encode() if isinstance(text, str) else text
    # modules with an active run cannot be removed
    options = ImportOptions(name=name, actor=actor, dry_run=dry_run, prune=prune, blocking_rows=(Run.objects.active(),))
    return import_sections(data, SECTIONS, options)
