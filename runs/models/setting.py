"""The settings that an operator changes while Pipekit runs: one row, with a field for each setting."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator, validate_email
from django.db import models

from connections.models import Timestamped
from connections.sdk.errors import ConfigurationInvalid
from connections.sdk.parameters import REFERENCE
from runs.models.setting_validation import problem, shown

# the primary key of the only row
ROW = 1
# the lease is at least this multiple of the time between two heartbeats, so that one may be late or missing
HEARTBEATS_PER_LEASE = 2


class SettingInvalid(ConfigurationInvalid, ValueError):
    """A setting was read whose stored value is invalid."""


def web_address(value: str) -> str:
    """Return an http or https URL. Raise ValueError for anything else, without repeating it: it may be a secret."""
    expected = ValueError("Expected an address such as https://etl.example.com, without a user or password in it.")
    try:
        parts = urlsplit(value)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise expected from None
    if not is_valid or "@" in parts.netloc or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise expected
    return value


def validate_web_address(value: str) -> None:
    try:
        web_address(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def validate_webhook(value: str) -> None:
    (validate_reference if value.startswith("$") else validate_web_address)(value)


def validate_share(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValidationError("Expected a share between 0 and 1, such as 0.1 for ten percent.")


def validate_hours(value: float) -> None:
    if not 0 < value <= 100_000:
        raise ValidationError("Expected a number of hours above 0; leave it empty to report no module as late.")


def validate_addresses(value: Any) -> None:
    if not isinstance(value, list):
        raise ValidationError("Expected a list of e-mail addresses.")
    for address in value:
        try:
            validate_email(address)
        except (ValidationError, TypeError):
            raise ValidationError(f"“{address}” is not an e-mail address.") from None


validate_reference = RegexValidator(
    REFERENCE, "Expected a reference such as $MAIL_PW, never the secret: manage.py secrets set MAIL_PW."
)
validate_line = RegexValidator(r"[\x00-\x1f\x7f]", "Expected a line of text.", inverse_match=True)


def _whole(label: str, text: str, default: int, least: int, most: int) -> models.PositiveIntegerField[int, int]:
    expected = f"Expected a whole number from {least} to {most}."
    limits = [MinValueValidator(least, expected), MaxValueValidator(most, expected)]
    return models.PositiveIntegerField(label, default=default, validators=limits, help_text=text)


def _share(label: str, text: str, default: float) -> models.FloatField[float, float]:
    return models.FloatField(label, default=default, validators=[validate_share], help_text=text)


def _text(label: str, text: str, validator: Any) -> models.TextField[str, str]:
    return models.TextField(label, default="", blank=True, validators=[validator], help_text=text)


class Setting(Timestamped):
    """The settings. `current_settings` returns them; while there is no row, each has its default."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=ROW, editable=False)
    min_full_share = _share(
        "Minimum share of a full refresh", "Share of the rows it replaces that a full refresh must deliver.", 0.5
    )
    max_delete_share = _share("Maximum share of deletes", "Share of a table that key_sync or a repair may delete.", 0.1)
    run_retention_days = _whole("Retention of runs", "Days for which runs are kept.", 400, 1, 36500)
    log_retention_days = _whole("Retention of logs", "Days for which logs of runs are kept.", 30, 1, 36500)
    no_progress_timeout = _whole(
        *("Progress timeout", "Seconds without progress or traffic until a transfer or connection fails; 0: never."),
        *(300, 0, 86400),
    )
    heartbeat_seconds = _whole("Heartbeat interval", "Seconds between two heartbeats of a run.", 5, 1, 60)
    lease_seconds = _whole(
        *("Heartbeat timeout", "Seconds without a heartbeat until a run on another machine is considered dead."),
        *(60, 10, 3600),
    )
    run_log_megabytes = _whole("Maximum size of a log", "Megabytes of the log of a run.", 50, 1, 10000)
    misfire_grace_hours = _whole(
        "Catch-up period", "Hours within which a missed time of a schedule is still caught up.", 6, 1, 1000
    )
    runs_per_tick = _whole(
        *("Runs per minute", "Maximum number of runs that schedules start per minute; others follow later."),
        *(20, 1, 1000),
    )
    verify_statement_seconds = _whole(
        "Duration of a statement", "Target duration in seconds of one statement of a verification.", 20, 1, 3600
    )
    verify_statements_per_second = _whole(
        "Statements per second", "Maximum number of statements per second of a verification.", 5, 1, 1000
    )
    notification_addresses = models.JSONField(
        "Recipients",
        default=list,
        blank=True,
        validators=[validate_addresses],
        help_text="E-mail addresses to which failures are reported.",
    )
    notify_every = _whole(
        "Repeated failures", "After the first failure, every n-th in a row is reported.", 10, 1, 10000
    )
    notify_manual_runs = models.BooleanField(
        "Manual runs", default=False, help_text="Also report runs started on a terminal."
    )
    late_after_hours = models.FloatField(
        "Late after",
        null=True,
        blank=True,
        validators=[validate_hours],
        help_text="Hours without a success until a module is reported as late.",
    )
    site_url = _text("Site URL", "Address of this installation, for links in mails.", validate_web_address)
    webhook_url = _text("Address", "URL to which events are posted, or a $NAME reference to it.", validate_webhook)
    webhook_secret = _text("Signing secret", "$NAME of the secret that signs the requests.", validate_reference)
    smtp_security = models.CharField(
        "Encryption",
        max_length=8,
        default="auto",
        choices=[
            ("auto", "auto: by the port (587 starttls, 465 tls, else STARTTLS if the server offers it)"),
            ("none", "none"),
            ("starttls", "starttls"),
            ("tls", "tls"),
        ],
        help_text="Encryption of the connection to the mail server.",
    )
    smtp_username = _text("User name", "User name at the mail server.", validate_line)
    smtp_password = _text("Password", "$NAME of the password at the mail server.", validate_reference)
    # a webhook stored before private addresses were refused: allowed until its address is changed
    webhook_unrestricted = models.BooleanField(default=False, editable=False)
    # stored values that are not valid, by setting, whose field then has the default: of earlier versions, or written by
    # SQL (see `from_db`); also settings that no longer exist
    invalid = models.JSONField(default=dict, editable=False)

    class Meta:
        db_table = "settings"
        verbose_name_plural = "settings"
        constraints = [models.CheckConstraint(condition=models.Q(pk=ROW), name="settings_are_one_row")]

    def __str__(self) -> str:
        return "Settings"

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Setting:
        """Load a row. Values that the model would refuse, because SQL has written them, become ``invalid``."""
        row: Setting = super().from_db(*args, **kwargs)
        loaded = row.__dict__
        invalid = loaded.get("invalid")
        found = {name: loaded[name] for name in names() if name in loaded and problem(_field(name), loaded[name])}
        for name in found:
            setattr(row, name, _field(name).get_default())
        if found or "invalid" in loaded:
            row.invalid = {**(invalid if isinstance(invalid, dict) else {}), **found}
        return row

    @property
    def lease(self) -> int:
        """The lease in seconds: `lease_seconds`, or more if that was stored before values too short were refused."""
        return max(self.lease_seconds, HEARTBEATS_PER_LEASE * self.heartbeat_seconds)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.pk = ROW
        if self.webhook_unrestricted and not Setting.objects.filter(webhook_url=self.webhook_url).exists():
            self.webhook_unrestricted = False
            if (fields := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*fields, "webhook_unrestricted"}
        super().save(*args, **kwargs)

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """Load fields again. Raise SettingInvalid for a setting whose stored value is invalid.

        Django calls this for a field that is read while it is not loaded; `current_settings` leaves those out.
        """
        for name in fields or ():
            if name in self.invalid:
                field, stored = _field(name), self.invalid[name]
                value = f": {text}" if (text := shown(field, stored)) else ""
                raise SettingInvalid(
                    f"The stored value of the setting {name} is not valid{value}. {problem(field, stored)}".rstrip(),
                    hint="Set it in the admin, under Settings; manage.py doctor names all such settings.",
                )
        super().refresh_from_db(using, fields, from_queryset)


def _field(name: str) -> models.Field[Any, Any]:
    field = Setting._meta.get_field(name)
    assert isinstance(field, models.Field)
    return field


def names() -> tuple[str, ...]:
    """Return the names of all settings."""
    own = [field.name for field in Setting._meta.concrete_fields if field.editable and not field.primary_key]
    return tuple(own)


def current_settings() -> Setting:
    """Return the settings as stored now, or the defaults.

    Reading a setting whose stored value is invalid raises SettingInvalid.

    It is one query. What belongs to one decision is read from one result; what an operator may change meanwhile is
    read again.
    """
    row = Setting.objects.first() or Setting()
    for name in row.invalid.keys() & set(names()):
        # Django asks `Setting.refresh_from_db` for it
        del row.__dict__[name]
    return row
