"""The mapping file's JSON Schema, made from the model.

`python -m services.ingest.providers.generic.schema` writes it beside this file; a test says when it is out of date.
"""

import json
from pathlib import Path
from typing import Final

from shared.mapping import Mapping

FILE: Final = Path(__file__).with_name("mapping.schema.json")


def text() -> str:
    """Return the schema as it is kept in `FILE`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Mapping.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
