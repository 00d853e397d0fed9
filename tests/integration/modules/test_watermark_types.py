"""A watermark that no run could use is refused when the module is saved, where its columns say their types."""

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
def test_a_boolean_or_json_is_refused(side: str, native: str) -> None:
    with pytest.raises(ValidationError) as refused:
        check(columns=[{"dest_name": "w", side: native}])
    assert "timestamp that grows" in str(refused.value.message_dict["watermark_column"])


def test_the_key_that_incremental_takes_for_one_is_refused_as_the_key() -> None:
    with pytest.raises(ValidationError) as refused:
        check(merge_strategy="incremental", watermark_column="", columns=[{"dest_name": "k", "dest_type": "boolean"}])
    assert "merge_key" in refused.value.message_dict


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
def test_others_are_saved(fields: dict[str, Any]) -> None:
    check(**fields)
