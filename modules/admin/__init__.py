"""The admin of modules and groups, and what it adds to the pages of connections."""

from __future__ import annotations

from modules.admin import connection_pages
from modules.admin import history as history
from modules.admin import module as module

connection_pages.register()
