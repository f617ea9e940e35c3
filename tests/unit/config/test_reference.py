"""docs/configuration.md says what the models say."""

from __future__ import annotations

from pathlib import Path

from amifactory.config.models import FactoryFile, Image, Model
from amifactory.config.reference import reference
from amifactory.config.schema import schema_of

PAGE = Path(__file__).parents[3] / "docs/configuration.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == reference(), (
        "run: python -m amifactory.config.reference docs/configuration.md"
    )


def test_every_key_is_described() -> None:
    page = reference()
    models: list[type[Model]] = [FactoryFile, Image]
    for model in models:
        schema = schema_of(model)
        models += [block.model for block in schema.blocks.values()]
        for key in schema.keys:
            assert f"| `{key}` |" in page
        for field in model.model_fields.values():
            hidden = isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("hidden")
            assert hidden or field.description
