"""Models of runs, group runs, verifications and notifications, and the settings of an installation."""

from __future__ import annotations

from runs.models.group_run import GroupRun as GroupRun
from runs.models.notification import Notification as Notification
from runs.models.run import Run as Run
from runs.models.run import keep_runs as keep_runs
from runs.models.run import new_token as new_token
from runs.models.setting import Setting as Setting
from runs.models.verification import Verification as Verification
