"""Modules (each syncs one table) with their watermarks, hooks and history, and groups of modules.

Whether a module is running is not stored here: that follows from its active run.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from connections.models import NAME, Connection, Timestamped
from connections.sdk.schema import TableName
from modules.choices import DuplicateKeys, FullPublish, NulBytes, OnError, OnFailure, RunOn
from modules.querysets import ModuleQuerySet
from modules.strategies import Strategy

PLACEHOLDER = RegexValidator(
    r"\A[A-Za-z_][A-Za-z0-9_]*\Z", "Use letters, digits and “_”, as in the placeholder between the braces."
)


class Module(Timestamped):
    """One sync job: a source query, a destination table, and how rows are merged into it."""

    name = models.CharField(
        max_length=63, unique=True, help_text="Lower-case letters, digits and “_”; also the name of its staging table."
    )
    source_connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="source_modules")
    dest_connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="dest_modules", verbose_name="destination connection"
    )
    dest_table = models.CharField(
        "destination table",
        max_length=300,
        help_text="schema.table. Created with the source's types if it does not exist.",
    )
    source_query = models.TextField(
        help_text="A SELECT that names every column of the destination: SELECT &quot;DCORD#&quot; AS dcord, … FROM …"
    )
    columns = models.JSONField(
        null=True, blank=True, help_text="A JSON list of columns. Empty: derived from the query."
    )
    merge_strategy = models.CharField(max_length=12, choices=Strategy.labelled(), default=Strategy.FULL.value)
    merge_key = models.CharField(
        max_length=1000, blank=True, help_text="Destination columns that identify a row, separated by commas."
    )
    watermark_column = models.CharField(
        max_length=255,
        blank=True,
        help_text="Destination column that grows. Empty: for incremental the first column of the merge key, else none.",
    )
    overlap = models.CharField(
        max_length=100, blank=True, help_text="How far below the watermark rows are read again, such as 1000 or 2 days."
    )
    duplicate_keys = models.CharField(
        max_length=12,
        choices=DuplicateKeys.labelled(),
        default=DuplicateKeys.ERROR.value,
        help_text="What to do if the source delivers a key twice.",
    )
    full_publish = models.CharField(
        "publish a full refresh by", max_length=8, choices=FullPublish.labelled(), default=FullPublish.AUTO.value
    )
    keep_previous = models.BooleanField(
        "keep the previous table",
        default=True,
        help_text="After a swap the previous table is kept until the next run, and can be restored.",
    )
    index_watermark = models.BooleanField(
        "index the watermark", default=True, help_text="A new table gets an index on its watermark column."
    )
    nul_bytes = models.CharField(
        "NUL bytes in text",
        max_length=5,
        choices=NulBytes.labelled(),
        default=NulBytes.FAIL.value,
        help_text="PostgreSQL cannot store them.",
    )
    key_sync = models.BooleanField(
        default=False, help_text="After each run, delete destination rows whose key the source no longer has."
    )
    key_sync_query = models.TextField(
        blank=True, help_text="Returns all keys of the source. Empty: derived from the source query."
    )
    full_refresh_cron = models.CharField(
        max_length=100,
        blank=True,
        help_text="Cron expression for additional runs with the strategy full, such as 0 3 * * 0.",
    )
    max_retries = models.PositiveSmallIntegerField(
        default=3,
        validators=[MaxValueValidator(20)],
        help_text="Only transient failures are retried.",
    )
    retry_delay = models.PositiveIntegerField(
        default=5, validators=[MinValueValidator(1)], help_text="Seconds before the first retry."
    )
    max_retry_delay = models.PositiveIntegerField(
        default=900, help_text="Longest wait between two attempts, in seconds."
    )
    exponential_backoff = models.BooleanField(default=True, help_text="Double the wait after each retry.")
    retry_timeout = models.PositiveIntegerField(default=3600, help_text="Seconds after which no further retry starts.")
    enabled = models.BooleanField(default=True, help_text="Off: groups and schedules skip it.")
    owner = models.CharField(max_length=200, blank=True)
    notes = models.TextField(blank=True)

    objects = ModuleQuerySet.as_manager()

    # names of the watermarks that are being saved with the module; None: the stored ones
    watermark_names: Sequence[str] | None = None

    class Meta:
        db_table = "module"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        # imported here: it needs sqlglot, which is slow to import, and most commands save no module
        from modules import validation

        validation.check(self)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of the merge key."""
        return tuple(name for part in self.merge_key.split(",") if (name := part.strip()))

    @property
    def effective_watermark(self) -> str:
        """The destination column that bounds the query: the watermark column, else the first of the merge key."""
        return self.watermark_column.strip() or next(iter(self.key_columns), "")

    @property
    def dest_table_name(self) -> TableName:
        return TableName.parse(self.dest_table)

    def declared_watermarks(self) -> tuple[str, ...]:
        """Return the names of its watermarks, including ones that are not saved yet."""
        if self.watermark_names is not None:
            return tuple(self.watermark_names)
        return tuple(self.watermarks.values_list("name", flat=True)) if self.pk else ()


class Watermark(Timestamped):
    """A named `{placeholder}` of a module's source query."""

    module = models.ForeignKey(Module, on_delete=models.CASCADE, related_name="watermarks")
    name = models.CharField(
        max_length=63,
        validators=[PLACEHOLDER],
        help_text="The name of the placeholder: since for {since} in the query.",
    )
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="watermarks")
    resolver_sql = models.TextField("resolver SQL", help_text="The value is the first column of its first row.")
    # an empty text is a value; NULL means no default
    default_value = models.CharField(  # noqa: DJ001
        max_length=1000,
        null=True,
        blank=True,
        help_text="The value if the resolver SQL returns nothing.",
    )

    class Meta:
        db_table = "watermark"
        ordering = ["module", "name"]
        constraints = [models.UniqueConstraint(fields=["module", "name"], name="one_watermark_per_name")]

    def __str__(self) -> str:
        return f"{{{self.name}}}"


class Hook(Timestamped):
    """SQL that runs around a module's run."""

    module = models.ForeignKey(Module, on_delete=models.CASCADE, related_name="hooks")
    run_order = models.PositiveIntegerField(default=1)
    sql = models.TextField("SQL")
    run_on = models.CharField(max_length=8, choices=RunOn.labelled(), default=RunOn.SUCCESS.value)
    connection = models.ForeignKey(
        Connection,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="hooks",
        help_text="Empty: the destination.",
    )
    on_error = models.CharField(max_length=4, choices=OnError.labelled(), default=OnError.FAIL.value)

    class Meta:
        db_table = "hook"
        ordering = ["module", "run_order", "pk"]

    def __str__(self) -> str:
        return f"{self.run_on} {self.run_order}"

    def clean(self) -> None:
        super().clean()
        from modules import validation

        validation.check_hook(self)


class Group(Timestamped):
    """Modules that run together, in order."""

    name = models.CharField(max_length=100, unique=True, validators=[NAME])
    on_failure = models.CharField(max_length=8, choices=OnFailure.labelled(), default=OnFailure.CONTINUE.value)
    max_parallel = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1)],
        help_text="Maximum number of members with the same run order that run at once.",
    )
    modules = models.ManyToManyField(Module, through="GroupMember", related_name="groups")

    class Meta:
        db_table = "grp"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class GroupMember(Timestamped):
    """A module's membership in a group, with its place in the run order."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="members")
    module = models.ForeignKey(Module, on_delete=models.CASCADE, related_name="memberships")
    run_order = models.PositiveIntegerField(
        default=1, help_text="Lower numbers run first; members with the same number run in parallel."
    )

    class Meta:
        db_table = "group_member"
        ordering = ["group", "run_order", "pk"]
        constraints = [models.UniqueConstraint(fields=["group", "module"], name="one_membership_per_module")]

    def __str__(self) -> str:
        return f"{self.run_order}. {self.module}"


class ModuleHistory(Timestamped):
    """One change of a module. ``diff`` maps each field that changed to its old and new value, JSON both."""

    module = models.ForeignKey(Module, on_delete=models.SET_NULL, null=True, related_name="history")
    # kept when the module is deleted
    module_name = models.CharField(max_length=63)
    version = models.PositiveIntegerField()
    actor = models.CharField(max_length=200, help_text="The user or command that made the change.")
    changed_at = models.DateTimeField("when", auto_now_add=True)
    diff = models.JSONField()
    # the state of the module in this version, for `restore`
    snapshot = models.JSONField()

    class Meta:
        db_table = "module_history"
        ordering = ["-changed_at", "-pk"]
        verbose_name_plural = "module history"
        constraints = [models.UniqueConstraint(fields=["module", "version"], name="one_history_row_per_version")]

    def __str__(self) -> str:
        return f"{self.module_name} version {self.version}"
