"""The kinds of systems there are, as plain data: later changes to them are later migrations."""

from __future__ import annotations

from django.db import migrations

DRIVERS = [
    {
        "kind": "postgresql",
        "name": "PostgreSQL",
        "url_template": "jdbc:postgresql://{host}:{port}/{db}",
    },
    {
        "kind": "sqlite",
        "name": "SQLite",
        "url_template": "jdbc:sqlite:{path}",
    },
    {
        "kind": "duckdb",
        "name": "DuckDB",
        "url_template": "jdbc:duckdb:{path}",
    },
    {
        "kind": "as400",
        "name": "AS/400 (DB2 for i)",
        "url_template": "jdbc:as400://{host}/{library};naming=system",
        "class_name": "com.ibm.as400.access.AS400JDBCDriver",
        "maven": "net.sf.jt400:jt400:21.0.4",
    },
    {
        "kind": "sqlserver",
        "name": "SQL Server",
        "url_template": "jdbc:sqlserver://{host}:{port};databaseName={db}",
        "class_name": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
        "maven": "com.microsoft.sqlserver:mssql-jdbc:12.10.1.jre11",
    },
    {
        "kind": "mysql",
        "name": "MySQL / MariaDB",
        "url_template": "jdbc:mysql://{host}:{port}/{db}",
        "class_name": "org.mariadb.jdbc.Driver",
        "maven": "org.mariadb.jdbc:mariadb-java-client:3.5.3",
    },
    {
        "kind": "oracle",
        "name": "Oracle",
        "url_template": "jdbc:oracle:thin:@//{host}:{port}/{service}",
        "class_name": "oracle.jdbc.OracleDriver",
        "maven": "com.oracle.database.jdbc:ojdbc11:23.7.0.25.01",
    },
    {
        "kind": "clickhouse",
        "name": "ClickHouse",
        "url_template": "jdbc:clickhouse://{host}:{port}/{db}",
        "class_name": "com.clickhouse.jdbc.ClickHouseDriver",
        "maven": "com.clickhouse:clickhouse-jdbc:0.8.6",
    },
    {
        "kind": "h2",
        "name": "H2",
        "url_template": "jdbc:h2:tcp://{host}/{db}",
        "class_name": "org.h2.Driver",
        "maven": "com.h2database:h2:2.3.232",
    },
    {
        "kind": "jdbc",
        "name": "Other (JDBC)",
        "url_template": "jdbc:{system}://{host}:{port}/{db}",
    },
]


def create(apps, schema_editor):
    driver = apps.get_model("connections", "Driver")
    for values in DRIVERS:
        driver.objects.using(schema_editor.connection.alias).get_or_create(kind=values["kind"], defaults=values)


class Migration(migrations.Migration):
    dependencies = [("connections", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop, elidable=False)]
