"""Schemas of pydantic models."""

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from shared.http.openapi._parts import REF, Json


def models(*models: type[BaseModel]) -> dict[str, Json]:
    """Return the schemas of `models` and all that they refer to by name, as they are published: see `_Published`."""
    _, found = models_json_schema(
        [(model, "serialization") for model in models], by_alias=True, ref_template=REF, schema_generator=_Published
    )
    schemas: dict[str, Json] = found["$defs"]
    return schemas


class _Published(GenerateJsonSchema):
    """Schemas of what is dumped without nulls, with defaults filled in, and without a title for every field."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Json:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Json:
        return self.generate_inner(schema["schema"])

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        inner = field["schema"]
        while inner["type"] == "default":
            inner = inner["schema"]
        return bool(inner["type"] != "nullable")

    def field_title_should_be_set(self, schema: object) -> bool:
        return False
