"""The admin of modules and groups."""

from __future__ import annotations

from modules.admin import history as history
from modules.admin import module as module
