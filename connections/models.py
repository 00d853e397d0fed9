"""Drivers and connections. A connection's password is a `$NAME` reference, never the secret itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from connections import options, registry, validation
from connections.querysets import ConnectionQuerySet, DriverQuerySet
from connections.sdk.errors import PipekitError
from connections.sdk.manifest import Manifest
from connections.sdk.parameters import REFERENCE, ConnectionParameters
from connections.secrets import binding as secret_binding
from connections.secrets.binding import Binding
from connections.secrets.references import store

# Names are typed on command lines and become parts of file names.
NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9_. -]*\Z",
    "Use letters, digits, “_”, “.”, “-” and spaces, beginning with a letter or digit.",
)

_BOUND_FIELDS = frozenset({"driver", "driver_id", "jdbc_url", "username", "password", "options"})


class Timestamped(models.Model):
    """Records when a row was created and last saved."""

    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        abstract = True


class Driver(Timestamped):
    """A kind of system and, if it is reached by JDBC, the jar of its driver.

    The rows are made from the manifests of the installed kinds (`DriverQuerySet.synchronize`); edited values are kept.
    """

    kind = models.CharField(
        max_length=40, unique=True, help_text="The kind of system, which is also the name of its connector."
    )
    name = models.CharField(max_length=100, help_text="The name shown in the admin.")
    jar_file = models.CharField(
        "JAR file",
        max_length=255,
        blank=True,
        help_text="File name in the driver directory. Empty if JDBC is not used.",
    )
    class_name = models.CharField("Java class", max_length=255, blank=True)
    url_template = models.CharField(
        "URL template", max_length=500, blank=True, help_text="For example jdbc:sqlserver://{host};databaseName={db}"
    )
    maven = models.CharField(
        "Maven coordinate",
        max_length=255,
        blank=True,
        help_text="group:artifact:version, from which the JAR file can be downloaded.",
    )
    sha256 = models.CharField(
        "SHA-256",
        max_length=64,
        blank=True,
        validators=[RegexValidator(r"\A[0-9a-f]{64}\Z", "A SHA-256 has 64 lower-case hexadecimal digits.")],
        help_text="Checksum of the JAR file; a file with another checksum is not loaded.",
    )
    # what the kind's manifest declared when the row was last synchronized
    declared = models.JSONField(default=dict, editable=False)

    objects = DriverQuerySet.as_manager()

    class Meta:
        db_table = "driver"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def manifest(self) -> Manifest | None:
        """The manifest of the kind, None if the kind is not installed any more or its manifest is invalid."""
        try:
            return registry.manifest(self.kind)
        except PipekitError:
            return None

    @property
    def unusable_reason(self) -> str:
        """Why connections of the kind cannot be used; empty if they can."""
        try:
            registry.manifest(self.kind)
        except PipekitError as error:
            return error.message
        return ""


class Connection(Timestamped):
    """A named system that modules read from, write to, or both."""

    name = models.CharField(max_length=100, unique=True, validators=[NAME])
    driver = models.ForeignKey(Driver, on_delete=models.PROTECT, related_name="connections")
    jdbc_url = models.CharField(
        "URL", max_length=1000, help_text="A JDBC URL, or one in the system's own form, without user name and password."
    )
    username = models.CharField(max_length=200, blank=True)
    password = models.CharField(
        max_length=100,
        blank=True,
        help_text="A reference to a secret, such as $DW_PW; never the password itself.",
    )
    supports_deletes = models.BooleanField(
        default=True, help_text="Off: incremental and upsert only insert, because the system cannot delete or update."
    )
    options = models.JSONField(
        default=dict, blank=True, help_text="Session settings, fetch size and properties, as a JSON object."
    )
    max_parallel = models.PositiveSmallIntegerField(
        default=4,
        validators=[MinValueValidator(1)],
        help_text="Maximum number of runs that use it at the same time.",
    )
    # the target that the references were entered for (see connections.secrets.binding)
    secret_binding = models.JSONField(null=True, blank=True, editable=False)
    last_tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_test_ok = models.BooleanField("last test", null=True, editable=False)
    last_test_message = models.TextField(blank=True, editable=False)

    objects = ConnectionQuerySet.as_manager()

    # return whether something writes to a connection; the apps above this one add theirs
    destination_checks: ClassVar[list[Callable[[Connection], bool]]] = []
    # True if the references were not entered again with the values being saved, so the stored binding is kept
    keeps_binding = False

    class Meta:
        db_table = "connection"
        ordering = ["name"]
        permissions = [("use_secret", "Can write references to secrets")]
        constraints = [
            models.CheckConstraint(
                name="connection_password_is_a_reference",
                condition=models.Q(password="") | models.Q(password__regex=REFERENCE),
                violation_error_message=validation.LITERAL_PASSWORD,
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the row and bind its references to its current target, unless ``keeps_binding`` is set.

        The caller (form or importconfig) has checked that the references were entered for this target. Rows changed by
        other means keep their old binding, so their references do not resolve.
        """
        fields = kwargs.get("update_fields")
        if not self.keeps_binding and (fields is None or _BOUND_FIELDS & set(fields)):
            self.secret_binding = self.binding()
            if fields is not None:
                kwargs["update_fields"] = {*fields, "secret_binding"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        super().clean()
        # an emptied form field gives None
        if self.options is None:
            self.options = {}
        validation.check(self)

    @property
    def is_destination(self) -> bool:
        """Whether something that is configured writes to it."""
        return any(check(self) for check in self.destination_checks)

    def references(self) -> list[str]:
        """Return all references to secrets, from the password and the secret options."""
        return secret_binding.references(kind=self.driver.kind, password=self.password, given=self.options)

    def binding(self) -> Binding:
        """Return the binding that the row's current values would get."""
        return secret_binding.binding(
            kind=self.driver.kind,
            url=self.jdbc_url,
            username=self.username,
            password=self.password,
            given=self.options,
        )

    def check_binding(self) -> None:
        """Raise SecretMissing if a reference was not entered for the connection's current target."""
        secret_binding.check(self.secret_binding, self.binding(), name=self.name, references=self.references())

    def parameters(self) -> ConnectionParameters:
        """Return the connector's parameters with secrets resolved. To be called only in the process that connects.

        Raises SecretMissing if a secret is not set, or its reference was entered for another target.
        """
        self.check_binding()

        def resolve(reference: str) -> str:
            try:
                return store().resolve(reference)
            except PipekitError as error:
                error.reword(f"{self.name}: {error.message}")
                raise

        return ConnectionParameters(
            kind=self.driver.kind,
            url=self.jdbc_url,
            username=self.username,
            password=resolve(self.password),
            options=options.resolve_secrets(self.options, self.driver.kind, resolve),
            name=self.name,
        )

    def record_test(self, *, ok: bool, message: str) -> None:
        """Save the result of a test, and no other field."""
        values: dict[str, Any] = {"last_tested_at": timezone.now(), "last_test_ok": ok, "last_test_message": message}
        for field, value in values.items():
            setattr(self, field, value)
        self.save(update_fields=[*values, "updated_at"])
