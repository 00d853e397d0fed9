from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import migrations, models


def record(apps: Any, schema_editor: Any) -> None:
    """Record what migration 0002 declared, so that values that were edited since are kept."""
    drivers = apps.get_model("connections", "Driver").objects.using(schema_editor.connection.alias)
    for values in import_module("connections.migrations.0002_driver_kinds").DRIVERS:
        declared = {field: values.get(field, "") for field in ("name", "url_template", "class_name", "maven")}
        drivers.filter(kind=values["kind"]).update(declared=declared)


class Migration(migrations.Migration):
    dependencies = [("connections", "0003_secret_binding")]
    operations = [
        migrations.AddField(
            model_name="driver",
            name="declared",
            field=models.JSONField(default=dict, editable=False),
        ),
        migrations.RunPython(record, migrations.RunPython.noop),
    ]
