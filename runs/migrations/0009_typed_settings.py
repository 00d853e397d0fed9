from __future__ import annotations

from typing import Any

import django.core.validators
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import migrations, models

import runs.models.setting

# the types of a stored JSON value that each kind of field takes unchanged
TYPES: dict[str, tuple[type, ...]] = {
    "FloatField": (int, float),
    "PositiveIntegerField": (int,),
    "BooleanField": (bool,),
    "TextField": (str,),
    "CharField": (str,),
    "JSONField": (list,),
}


def copy(apps: Any, schema_editor: Any) -> None:
    """Copy every stored setting into one row: valid ones into their fields, the others into ``invalid``."""
    alias = schema_editor.connection.alias
    stored = apps.get_model("runs", "Setting").objects.using(alias).values_list("key", "value", "unrestricted")
    row = apps.get_model("runs", "TypedSetting")(pk=1)
    for key, value, unrestricted in stored:
        # null meant the default
        if is_valid(type(row), key, value):
            setattr(row, key, value)
        elif value is not None:
            row.invalid[key] = value
        if key == "webhook_url":
            row.webhook_unrestricted = unrestricted
    if stored:
        row.save(using=alias)


def is_valid(model: Any, key: str, value: Any) -> bool:
    try:
        field = model._meta.get_field(key)
    except FieldDoesNotExist:
        return False
    types = TYPES[field.get_internal_type()] if field.editable else ()
    if not isinstance(value, types) or isinstance(value, bool) != (types == (bool,)):
        return False
    try:
        field.clean(value, None)
    except ValidationError:
        return False
    return True


class Migration(migrations.Migration):
    dependencies = [("runs", "0008_verification_compared")]
    operations = [
        migrations.CreateModel(
            name='TypedSetting',
            fields=[
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('id', models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('min_full_share', models.FloatField(default=0.5, validators=[runs.models.setting.validate_share], verbose_name='Minimum share of the rows it replaces that a full refresh must deliver')),
                ('max_delete_share', models.FloatField(default=0.1, validators=[runs.models.setting.validate_share], verbose_name='Maximum share of a table that key_sync may delete')),
                ('run_retention_days', models.PositiveIntegerField(default=400, validators=[django.core.validators.MinValueValidator(1, 'Expected a whole number from 1 to 36500.'), django.core.validators.MaxValueValidator(36500, 'Expected a whole number from 1 to 36500.')], verbose_name='Days for which runs are kept')),
                ('log_retention_days', models.PositiveIntegerField(default=30, validators=[django.core.validators.MinValueValidator(1, 'Expected a whole number from 1 to 36500.'), django.core.validators.MaxValueValidator(36500, 'Expected a whole number from 1 to 36500.')], verbose_name='Days for which logs of runs are kept')),
                ('no_progress_timeout', models.PositiveIntegerField(default=300, validators=[django.core.validators.MinValueValidator(0, 'Expected a whole number from 0 to 86400.'), django.core.validators.MaxValueValidator(86400, 'Expected a whole number from 0 to 86400.')], verbose_name='Seconds without progress or traffic after which a transfer or connection times out; 0: never')),
                ('heartbeat_seconds', models.PositiveIntegerField(default=5, validators=[django.core.validators.MinValueValidator(1, 'Expected a whole number from 1 to 60.'), django.core.validators.MaxValueValidator(60, 'Expected a whole number from 1 to 60.')], verbose_name='Seconds between two heartbeats of a run')),
                ('lease_seconds', models.PositiveIntegerField(default=60, validators=[django.core.validators.MinValueValidator(10, 'Expected a whole number from 10 to 3600.'), django.core.validators.MaxValueValidator(3600, 'Expected a whole number from 10 to 3600.')], verbose_name='Seconds without a heartbeat after which a run on another machine is considered dead')),
                ('run_log_megabytes', models.PositiveIntegerField(default=50, validators=[django.core.validators.MinValueValidator(1, 'Expected a whole number from 1 to 10000.'), django.core.validators.MaxValueValidator(10000, 'Expected a whole number from 1 to 10000.')], verbose_name="Maximum size of a run's log in megabytes")),
                ('misfire_grace_hours', models.PositiveIntegerField(default=6, validators=[django.core.validators.MinValueValidator(1, 'Expected a whole number from 1 to 1000.'), django.core.validators.MaxValueValidator(1000, 'Expected a whole number from 1 to 1000.')], verbose_name='Hours within which a missed time of a schedule is still caught up')),
                ('runs_per_tick', models.PositiveIntegerField(default=20, validators=[django.core.validators.MinValueValidator(1, 'Expected a whole number from 1 to 1000.'), django.core.validators.MaxValueValidator(1000, 'Expected a whole number from 1 to 1000.')], verbose_name='Maximum number of runs that schedules start per minute; others follow in the next minutes')),
                ('verify_statement_seconds', models.PositiveIntegerField(default=20, validators=[django.core.validators.MinValueValidator(1, 'Expected a whole number from 1 to 3600.'), django.core.validators.MaxValueValidator(3600, 'Expected a whole number from 1 to 3600.')], verbose_name='Target duration in seconds of one statement of a verification')),
                ('verify_statements_per_second', models.PositiveIntegerField(default=5, validators=[django.core.validators.MinValueValidator(1, 'Expected a whole number from 1 to 1000.'), django.core.validators.MaxValueValidator(1000, 'Expected a whole number from 1 to 1000.')], verbose_name='Maximum number of statements per second of a verification')),
                ('notification_addresses', models.JSONField(blank=True, default=list, validators=[runs.models.setting.validate_addresses], verbose_name='Recipients of failure notifications by e-mail')),
                ('notify_every', models.PositiveIntegerField(default=10, validators=[django.core.validators.MinValueValidator(1, 'Expected a whole number from 1 to 10000.'), django.core.validators.MaxValueValidator(10000, 'Expected a whole number from 1 to 10000.')], verbose_name='After the first failure, report every n-th in a row')),
                ('notify_manual_runs', models.BooleanField(default=False, verbose_name='Also report runs started on a terminal')),
                ('late_after_hours', models.FloatField(blank=True, null=True, validators=[runs.models.setting.validate_hours], verbose_name='Hours without a success after which a module is reported as late')),
                ('site_url', models.TextField(blank=True, default='', validators=[runs.models.setting.validate_web_address], verbose_name='Address of this installation, for links in mails')),
                ('webhook_url', models.TextField(blank=True, default='', validators=[runs.models.setting.validate_webhook], verbose_name='Webhook address for events, or a $NAME reference to it')),
                ('webhook_secret', models.TextField(blank=True, default='', validators=[django.core.validators.RegexValidator('\\A\\$[A-Z_][A-Z0-9_]*\\Z', 'Expected a reference such as $MAIL_PW, never the secret: manage.py secrets set MAIL_PW.')], verbose_name='$NAME of the secret that signs webhook requests')),
                ('smtp_security', models.CharField(choices=[('auto', 'auto: by the port (587 starttls, 465 tls, else none)'), ('none', 'none'), ('starttls', 'starttls'), ('tls', 'tls')], default='auto', max_length=8, verbose_name='Encryption of the connection to the mail server')),
                ('smtp_username', models.TextField(blank=True, default='', validators=[django.core.validators.RegexValidator('[\\x00-\\x1f\\x7f]', 'Expected a line of text.', inverse_match=True)], verbose_name='User name at the mail server')),
                ('smtp_password', models.TextField(blank=True, default='', validators=[django.core.validators.RegexValidator('\\A\\$[A-Z_][A-Z0-9_]*\\Z', 'Expected a reference such as $MAIL_PW, never the secret: manage.py secrets set MAIL_PW.')], verbose_name='$NAME of the password at the mail server')),
                ('webhook_unrestricted', models.BooleanField(default=False, editable=False)),
                ('invalid', models.JSONField(default=dict, editable=False)),
            ],
            options={
                'verbose_name_plural': 'settings',
                'db_table': 'typed_settings',
                'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='settings_are_one_row')],
            },
        ),
        migrations.RunPython(copy),
        migrations.DeleteModel(name="Setting"),
        migrations.RenameModel(old_name="TypedSetting", new_name="Setting"),
        migrations.AlterModelTable(name="setting", table="settings"),
    ]
