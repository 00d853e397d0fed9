from typing import Any

from django.db import migrations

from connections.secrets import binding

# properties of PostgreSQL's URLs that bindings did not contain
_ADDED = ("channel_binding", "gssEncMode")


def extend(apps: Any, schema_editor: Any) -> None:
    """Add the properties to the bindings of connections whose target is the same without them."""
    connections = apps.get_model("connections", "Connection").objects.using(schema_editor.connection.alias)
    for row in connections.select_related("driver").exclude(secret_binding=None):
        now = binding.binding(
            kind=row.driver.kind,
            url=row.jdbc_url,
            username=row.username,
            password=row.password,
            given=row.options,
        )
        target = now.get("target")
        if target and _without_added(target) == row.secret_binding.get("target") != target:
            row.secret_binding = {**row.secret_binding, "target": target}
            row.save(update_fields=["secret_binding"])


def _without_added(target: dict[str, Any]) -> dict[str, Any]:
    protection = {name: value for name, value in target.get("protection", {}).items() if name not in _ADDED}
    others = {name: value for name, value in target.items() if name != "protection"}
    return {**others, "protection": protection} if protection else others


class Migration(migrations.Migration):
    dependencies = [("connections", "0005_help_texts")]
    operations = [migrations.RunPython(extend, migrations.RunPython.noop)]
