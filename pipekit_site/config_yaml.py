"""The whole configuration as one YAML file: what `exportconfig` writes and `importconfig` reads."""

from __future__ import annotations

from connections.config_yaml import CONNECTIONS
from modules.config_yaml import GROUPS, MODULES
from pipekit_site.configfile import export
from pipekit_site.configfile import load as importing
from pipekit_site.configfile.load import Outcome, Wish
from runs.models import Run
from scheduling.config_yaml import SCHEDULES

# each refers only to those before it
SECTIONS = (CONNECTIONS, MODULES, GROUPS, SCHEDULES)


def dump() -> str:
    """Return the configuration; it holds references to secrets, no secret."""
    return export.export(SECTIONS)


def load(text: str | bytes, *, name: str, actor: str, dry_run: bool = False, prune: bool = False) -> Outcome:
    """Import a file's text. Raises FileInvalid naming every error, and nothing is changed."""
    data = text.encode() if isinstance(text, str) else text
    # a module whose run is going on stays
    going = (Run.objects.active(),)
    return importing.load(data, SECTIONS, Wish(name=name, actor=actor, dry_run=dry_run, prune=prune, beside=going))
