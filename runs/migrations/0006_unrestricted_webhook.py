from typing import Any

from django.db import migrations, models


def keep(apps: Any, schema_editor: Any) -> None:
    """Let a webhook that is set already go on, wherever it leads, until its address is changed."""
    settings = apps.get_model("runs", "Setting").objects.using(schema_editor.connection.alias)
    settings.filter(key="webhook_url").update(unrestricted=True)


class Migration(migrations.Migration):
    dependencies = [("runs", "0005_missed")]
    operations = [
        migrations.AddField(
            model_name="setting",
            name="unrestricted",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.RunPython(keep, migrations.RunPython.noop),
    ]
