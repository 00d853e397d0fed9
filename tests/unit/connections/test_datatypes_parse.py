"""Data types of each system are parsed, and rendered for destinations."""

from __future__ import annotations

import pytest

from connections import registry
from connections.sdk.types import DataType, Kind

K = Kind
# native type -> kind, or (DECIMAL, precision, scale), or (TEXT, length, fixed)
AS400 = {
    "SMALLINT": K.SMALLINT,
    "INTEGER": K.INTEGER,
    "BIGINT": K.BIGINT,
    "DECIMAL(11, 2)": (K.DECIMAL, 11, 2),
    "NUMERIC(7,0)": (K.DECIMAL, 7, 0),
    "DECIMAL": (K.DECIMAL, 5, 0),
    "DECFLOAT(34)": (K.DECIMAL, None, None),
    "FLOAT": K.DOUBLE,
    "FLOAT(24)": K.REAL,
    "FLOAT(25)": K.DOUBLE,
    "REAL": K.REAL,
    "DOUBLE PRECISION": K.DOUBLE,
    "CHAR(10)": (K.TEXT, 10, True),
    "CHAR": (K.TEXT, 1, True),
    "CHAR(10) CCSID 273": (K.TEXT, 10, True),
    "CHARACTER(10) FOR SBCS DATA": (K.TEXT, 10, True),
    "VARCHAR(200)": (K.TEXT, 200, False),
    "GRAPHIC(5) CCSID 13488": (K.TEXT, 5, True),
    "VARGRAPHIC(5)": (K.TEXT, 5, False),
    "CHAR(8) FOR BIT DATA": K.BINARY,
    "VARCHAR(8) FOR BIT DATA": K.BINARY,
    "CHAR(8) CCSID 65535": K.BINARY,
    "BINARY(4)": K.BINARY,
    "VARBIN": K.BINARY,
    "CLOB(1M)": (K.TEXT, 1048576, False),
    "DBCLOB(2000)": (K.TEXT, 2000, False),
    "BLOB(1M)": K.BINARY,
    "DATE": K.DATE,
    "TIME": K.TIME,
    "TIMESTAMP": K.TIMESTAMP,
    "TIMESTAMP(12)": K.TIMESTAMP,
    "TIMESTMP": K.TIMESTAMP,
    "ROWID": K.BINARY,
    "XML": (K.TEXT, None, False),
    "DATALINK(200)": (K.TEXT, 200, False),
    "BOOLEAN": K.BOOLEAN,
    "MYDISTINCT": K.UNKNOWN,
}
SQLSERVER = {
    "bit": K.BOOLEAN,
    "tinyint": K.SMALLINT,
    "smallint": K.SMALLINT,
    "int": K.INTEGER,
    "int identity": K.INTEGER,
    "bigint": K.BIGINT,
    "decimal(18, 4)": (K.DECIMAL, 18, 4),
    "decimal": (K.DECIMAL, 18, 0),
    "numeric() identity": (K.DECIMAL, 18, 0),
    "money": (K.DECIMAL, 19, 4),
    "smallmoney": (K.DECIMAL, 10, 4),
    "real": K.REAL,
    "float": K.DOUBLE,
    "float(53)": K.DOUBLE,
    "float(24)": K.REAL,
    "char(3)": (K.TEXT, 3, True),
    "nchar(3)": (K.TEXT, 3, True),
    "varchar(50)": (K.TEXT, 50, False),
    "nvarchar(max)": (K.TEXT, None, False),
    "text": (K.TEXT, None, False),
    "sysname": (K.TEXT, None, False),
    "xml": (K.TEXT, None, False),
    "varbinary(max)": K.BINARY,
    "rowversion": K.BINARY,
    "timestamp": K.BINARY,
    "uniqueidentifier": K.UUID,
    "date": K.DATE,
    "time(7)": K.TIME,
    "datetime": K.TIMESTAMP,
    "datetime2(7)": K.TIMESTAMP,
    "smalldatetime": K.TIMESTAMP,
    "datetimeoffset(7)": K.TIMESTAMPTZ,
    "sql_variant": K.UNKNOWN,
    "hierarchyid": K.UNKNOWN,
    "geography": K.UNKNOWN,
}
MYSQL = {
    "tinyint(1)": K.BOOLEAN,
    "tinyint(1) unsigned": K.SMALLINT,
    "tinyint(4)": K.SMALLINT,
    "tinyint unsigned": K.SMALLINT,
    "smallint": K.SMALLINT,
    "smallint unsigned": K.INTEGER,
    "mediumint unsigned": K.INTEGER,
    "int(11)": K.INTEGER,
    "int unsigned": K.BIGINT,
    "int(10) unsigned zerofill": K.BIGINT,
    "int(10) zerofill": K.BIGINT,
    "bigint": K.BIGINT,
    "bigint(20) unsigned": (K.DECIMAL, 20, 0),
    "serial": (K.DECIMAL, 20, 0),
    "decimal(10,2)": (K.DECIMAL, 10, 2),
    "decimal(65,30) unsigned": (K.DECIMAL, 65, 30),
    "decimal": (K.DECIMAL, 10, 0),
    "float": K.REAL,
    "float(7,4)": K.REAL,
    "float(53)": K.DOUBLE,
    "double": K.DOUBLE,
    "double unsigned": K.DOUBLE,
    "char(3)": (K.TEXT, 3, True),
    "varchar(255) character set utf8mb4 collate utf8mb4_bin": (K.TEXT, 255, False),
    "longtext": (K.TEXT, None, False),
    "enum('a','b,)','c')": (K.TEXT, None, False),
    "set('x','y')": (K.TEXT, None, False),
    "binary(16)": K.BINARY,
    "longblob": K.BINARY,
    "bit(1)": K.BOOLEAN,
    "bit": K.BOOLEAN,
    "bit(8)": K.BINARY,
    "year(4)": K.SMALLINT,
    "date": K.DATE,
    "time(6)": K.TIME,
    "datetime(6)": K.TIMESTAMP,
    "timestamp": K.TIMESTAMP,
    "json": K.JSON,
    "uuid": K.UUID,
    "geometry": K.UNKNOWN,
}
ORACLE = {
    "NUMBER": (K.DECIMAL, None, None),
    "NUMBER(4)": K.SMALLINT,
    "NUMBER(5,0)": K.INTEGER,
    "NUMBER(9,0)": K.INTEGER,
    "NUMBER(10,0)": K.BIGINT,
    "NUMBER(18)": K.BIGINT,
    "NUMBER(19,0)": (K.DECIMAL, 19, 0),
    "NUMBER(*,0)": (K.DECIMAL, 38, 0),
    "INTEGER": (K.DECIMAL, 38, 0),
    "NUMBER(10,2)": (K.DECIMAL, 10, 2),
    "NUMBER(2,5)": (K.DECIMAL, 5, 5),
    "NUMBER(5,-2)": K.INTEGER,
    "NUMBER(36,-84)": (K.DECIMAL, 120, 0),
    "FLOAT(126)": (K.DECIMAL, None, None),
    "DOUBLE PRECISION": (K.DECIMAL, None, None),
    "BINARY_FLOAT": K.REAL,
    "BINARY_DOUBLE": K.DOUBLE,
    "VARCHAR2(10 CHAR)": (K.TEXT, 10, False),
    "NVARCHAR2(10)": (K.TEXT, 10, False),
    "CHAR(3 BYTE)": (K.TEXT, 3, True),
    "CLOB": (K.TEXT, None, False),
    "LONG": (K.TEXT, None, False),
    "RAW(16)": K.BINARY,
    "LONG RAW": K.BINARY,
    "BLOB": K.BINARY,
    "DATE": K.TIMESTAMP,
    "TIMESTAMP(6)": K.TIMESTAMP,
    "TIMESTAMP(6) WITH TIME ZONE": K.TIMESTAMPTZ,
    "TIMESTAMP(6) WITH LOCAL TIME ZONE": K.TIMESTAMPTZ,
    "INTERVAL DAY(2) TO SECOND(6)": K.NATIVE,
    "INTERVAL YEAR(2) TO MONTH": K.NATIVE,
    "ROWID": (K.TEXT, None, False),
    "JSON": K.JSON,
    "BOOLEAN": K.BOOLEAN,
    "SDO_GEOMETRY": K.UNKNOWN,
}
CLICKHOUSE = {
    "Bool": K.BOOLEAN,
    "UInt8": K.SMALLINT,
    "Int16": K.SMALLINT,
    "UInt16": K.INTEGER,
    "UInt32": K.BIGINT,
    "Int64": K.BIGINT,
    "UInt64": (K.DECIMAL, 20, 0),
    "Int128": (K.DECIMAL, 39, 0),
    "UInt256": (K.DECIMAL, 78, 0),
    "Float32": K.REAL,
    "Decimal(18, 4)": (K.DECIMAL, 18, 4),
    "Decimal(18)": (K.DECIMAL, 18, 0),
    "Decimal64(3)": (K.DECIMAL, 18, 3),
    "Nullable(Decimal(38, 10))": (K.DECIMAL, 38, 10),
    "String": (K.TEXT, None, False),
    "LowCardinality(Nullable(String))": (K.TEXT, None, False),
    "FixedString(3)": (K.TEXT, 3, False),
    "Enum8('a' = 1, 'b' = 2)": (K.TEXT, None, False),
    "Date": K.DATE,
    "Date32": K.DATE,
    "DateTime": K.TIMESTAMP,
    "DateTime('Europe/Berlin')": K.TIMESTAMPTZ,
    "DateTime64(6)": K.TIMESTAMP,
    "DateTime64(6, 'UTC')": K.TIMESTAMPTZ,
    "UUID": K.UUID,
    "JSON": K.JSON,
    "Array(Nullable(String))": K.NATIVE,
    "Map(String, UInt8)": K.NATIVE,
    "Tuple(a UInt8, b String)": K.NATIVE,
    "IPv6": K.NATIVE,
    "IntervalDay": K.NATIVE,
    "SimpleAggregateFunction(sum, UInt64)": (K.DECIMAL, 20, 0),
    "AggregateFunction(uniq, UInt64)": K.UNKNOWN,
}
H2 = {
    "CHARACTER VARYING(20)": (K.TEXT, 20, False),
    "CHARACTER(3)": (K.TEXT, 3, True),
    "CHARACTER LARGE OBJECT": (K.TEXT, None, False),
    "ENUM('a', 'b')": (K.TEXT, None, False),
    "NUMERIC(10, 2)": (K.DECIMAL, 10, 2),
    "NUMERIC": (K.DECIMAL, None, None),
    "DECFLOAT(20)": (K.DECIMAL, None, None),
    "DOUBLE PRECISION": K.DOUBLE,
    "FLOAT(24)": K.REAL,
    "TINYINT": K.SMALLINT,
    "BOOLEAN": K.BOOLEAN,
    "BINARY VARYING(20)": K.BINARY,
    "TIME(0)": K.TIME,
    "TIME(0) WITH TIME ZONE": K.NATIVE,
    "TIMESTAMP(6)": K.TIMESTAMP,
    "TIMESTAMP(6) WITH TIME ZONE": K.TIMESTAMPTZ,
    "INTERVAL DAY TO SECOND": K.NATIVE,
    "INTEGER ARRAY": K.NATIVE,
    "INTEGER ARRAY[10]": K.NATIVE,
    "UUID": K.UUID,
    "JSON": K.JSON,
    "GEOMETRY": K.UNKNOWN,
}
JDBC = {
    "BIT": K.BOOLEAN,
    "TINYINT": K.SMALLINT,
    "FLOAT": K.DOUBLE,
    "REAL": K.REAL,
    "NUMERIC(10,2)": (K.DECIMAL, 10, 2),
    "DECIMAL": (K.DECIMAL, None, None),
    "CHAR(4)": (K.TEXT, 4, True),
    "LONGNVARCHAR": (K.TEXT, None, False),
    "LONGVARBINARY": K.BINARY,
    "TIMESTAMP_WITH_TIMEZONE": K.TIMESTAMPTZ,
    "SQLXML": (K.TEXT, None, False),
    "ARRAY": K.UNKNOWN,
    "OTHER": K.UNKNOWN,
    "JAVA_OBJECT": K.UNKNOWN,
}
TABLES = {
    "as400": AS400,
    "sqlserver": SQLSERVER,
    "mysql": MYSQL,
    "oracle": ORACLE,
    "clickhouse": CLICKHOUSE,
    "h2": H2,
    "jdbc": JDBC,
}
CASES = [(kind, native, expected) for kind, table in TABLES.items() for native, expected in table.items()]
IDS = [f"{kind} {native}" for kind, native, _ in CASES]


@pytest.mark.parametrize(("kind", "native", "expected"), CASES, ids=IDS)
def test_a_native_type_is_parsed(kind: str, native: str, expected: Kind | tuple[object, ...]) -> None:
    data_type = registry.datatypes(kind).parse(native)
    assert data_type.native == native
    if not isinstance(expected, tuple):
        assert (data_type.kind, data_type.fixed) == (expected, False)
    elif expected[0] is K.DECIMAL:
        assert (data_type.kind, data_type.precision, data_type.scale) == expected
    else:
        assert (data_type.kind, data_type.length, data_type.fixed) == expected


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("native", ["", "   ", "(", "char(", "a(b)(c)", "'", "decimal(x)", "no such type", "(10)"])
def test_an_invalid_type_is_parsed_without_an_error(kind: str, native: str) -> None:
    data_type = registry.datatypes(kind).parse(native)
    assert data_type.kind in (K.UNKNOWN, K.DECIMAL) and data_type.native == native
    assert data_type.precision in (None, 5, 10, 18, 38)


@pytest.mark.parametrize("kind", registry.kinds())
@pytest.mark.parametrize("type_kind", list(Kind))
def test_every_kind_of_type_is_rendered_exactly_or_with_a_warning(kind: str, type_kind: Kind) -> None:
    datatypes = registry.datatypes(kind)
    rendered = datatypes.render(DataType(kind=type_kind, native="odd"))
    parsed = datatypes.parse(rendered.native)
    assert rendered.native
    if type_kind in (K.NATIVE, K.UNKNOWN):
        assert rendered.warning
    if parsed.kind is not type_kind and not rendered.warning:
        # rendered as a wider type that has all its values
        assert (kind, type_kind) in {
            ("oracle", K.SMALLINT),
            ("oracle", K.INTEGER),
            ("oracle", K.BIGINT),
            ("oracle", K.DATE),
            ("sqlite", K.REAL),
        }


@pytest.mark.parametrize(("kind", "native", "expected"), CASES, ids=IDS)
def test_a_rendered_type_that_is_parsed_is_rendered_the_same(kind: str, native: str, expected: object) -> None:
    datatypes = registry.datatypes(kind)
    first = datatypes.render(datatypes.parse(native))
    second = datatypes.render(datatypes.parse(first.native))
    if kind == "oracle" and "NUMBER(" in first.native:
        # its integers are decimals: each is parsed as the next wider integer type
        assert second.native.startswith("NUMBER(")
        return
    assert second.native == first.native


@pytest.mark.parametrize(
    ("kind", "limit"), [("sqlserver", 38), ("mysql", 65), ("oracle", 38), ("clickhouse", 76), ("as400", 63)]
)
def test_a_decimal_that_is_too_wide_for_the_system_is_rendered_as_another_type_with_a_warning(
    kind: str, limit: int
) -> None:
    render = registry.datatypes(kind).render
    fits = render(DataType(kind=K.DECIMAL, precision=limit, scale=10))
    assert f"{limit}" in fits.native and not fits.warning
    wide = render(DataType(kind=K.DECIMAL, precision=limit + 1, scale=10))
    assert wide.warning and f"{limit}" not in wide.native
    assert render(DataType(kind=K.DECIMAL)).warning


def test_text_is_rendered_with_its_length_up_to_the_maximum_of_the_system() -> None:
    for kind, expected in {
        "sqlserver": ("nvarchar(40)", "nvarchar(max)"),
        "mysql": ("varchar(40)", "longtext"),
        "oracle": ("VARCHAR2(40 CHAR)", "CLOB"),
        "as400": ("VARCHAR(40)", "CLOB"),
    }.items():
        render = registry.datatypes(kind).render
        types = tuple(render(DataType(kind=K.TEXT, length=length)).native for length in (40, 100_000))
        assert types == expected
