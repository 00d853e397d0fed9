"""The admin of runs, group runs, verifications, notifications and settings."""

from __future__ import annotations

from runs.admin import group_run as group_run
from runs.admin import module_pages
from runs.admin import notification as notification
from runs.admin import run as run
from runs.admin import setting as setting
from runs.admin import verification as verification

module_pages.register()
