from typing import Any

from django.db import migrations, models

from connections.secrets import binding


def bind(apps: Any, schema_editor: Any) -> None:
    """Bind the references of every stored connection to where it leads now: what works goes on working."""
    connections = apps.get_model("connections", "Connection").objects.using(schema_editor.connection.alias)
    for row in connections.select_related("driver"):
        row.secret_binding = binding.binding(
            kind=row.driver.kind,
            url=row.jdbc_url,
            username=row.username,
            password=row.password,
            given=row.options,
        )
        row.save(update_fields=["secret_binding"])


class Migration(migrations.Migration):
    dependencies = [("connections", "0002_driver_kinds")]
    operations = [
        migrations.AddField(
            model_name="connection",
            name="secret_binding",
            field=models.JSONField(blank=True, editable=False, null=True),
        ),
        migrations.AlterModelOptions(
            name="connection",
            options={
                "ordering": ["name"],
                "permissions": [("use_secret", "Can write references to secrets")],
            },
        ),
        migrations.RunPython(bind, migrations.RunPython.noop),
    ]
