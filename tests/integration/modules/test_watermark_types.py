"""Watermark columns of unsuitable types are refused if the module's columns have their types."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from tests.factories import ModuleFactory

pytestmark = pytest.mark.django_db

QUERY = "SELECT k AS k, w AS w FROM s"


def check(**fields: Any) -> None:
    values = {"source_query": QUERY, "merge_key": "k", "merge_strategy": "upsert", "watermark_column": "w", **fields}
    ModuleFactory.create(**values).full_clean()


@pytest.mark.parametrize("side", ["dest_type", "source_type"])
@pytest.mark.parametrize("native", ["boolean", "json"])
def test_a_boolean_or_json_watermark_is_refused(side: str, native: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check(columns=[{"dest_name": "w", side: native}])
    assert "timestamp that grows" in str(caught.value.message_dict["watermark_column"])


def test_a_merge_key_of_an_unsuitable_type_is_refused_if_it_is_the_watermark() -> None:
    with pytest.raises(ValidationError) as caught:
        check(merge_strategy="incremental", watermark_column="", columns=[{"dest_name": "k", "dest_type": "boolean"}])
    assert "merge_key" in caught.value.message_dict


@pytest.mark.parametrize(
    "fields",
    [
        {"columns": [{"dest_name": "w", "dest_type": "bigint"}]},
        {"columns": [{"dest_name": "w"}]},
        {"columns": None},
        {"watermark_column": "", "columns": [{"dest_name": "k", "dest_type": "boolean"}]},
        {"merge_strategy": "full", "columns": [{"dest_name": "w", "dest_type": "boolean"}]},
    ],
)
def test_other_watermarks_are_accepted(fields: dict[str, Any]) -> None:
    check(**fields)
