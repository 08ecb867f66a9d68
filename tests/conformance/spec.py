"""A company's OpenAPI file as a judge: was the request one that it takes, and the answer one that it gives?"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openapi_schema_validator import OAS30Validator, OAS31Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4, DRAFT202012

ROOT = Path(__file__).resolve().parent.parent.parent
SPECS = Path(os.environ.get("SPECS_DIR") or ROOT.parent / "shared" / "specs")
_NAME = "urn:spec"


class Spec:
    """One file; `seen` are the operations that were checked, with their statuses."""

    def __init__(self, path: str) -> None:
        self.document = json.loads((SPECS / path).read_text())
        old = self.document["openapi"].startswith("3.0")
        self._validator = OAS30Validator if old else OAS31Validator
        resource = (DRAFT4 if old else DRAFT202012).create_resource(self.document)
        self._registry: Registry[Any] = Registry().with_resource(_NAME, resource)
        self.seen: set[tuple[str, str, int]] = set()

    def check(self, method: str, path: str, sent: Any, status: int, answered: Any) -> None:
        """Fail when the exchange is none that the file allows. A refusal's status need not be in it, its answer's form is checked if so."""
        template = self._template(path.partition("?")[0])
        operation = self.document["paths"][template][method.lower()]
        self.seen.add((method, template, status))
        here = ("paths", template, method.lower())
        if status < 300 and "requestBody" in operation:
            self._fits(sent, *here, "requestBody", "content", "application/json", "schema")
        responses = operation["responses"]
        found = str(status) if str(status) in responses else "default"
        if found not in responses:
            assert status >= 400, f"{method} {template} does not answer {status}"
            return
        if "application/json" in responses[found].get("content", {}):
            self._fits(answered, *here, "responses", found, "content", "application/json", "schema")

    def fits(self, instance: Any, schema: str, *, but: str = "") -> None:
        """Fail when it is no such schema of the components, `but` for one path where the file contradicts itself."""
        self._fits(instance, "components", "schemas", schema, but=but)

    def _fits(self, instance: Any, *way: str, but: str = "") -> None:
        pointer = "/".join(quote(step.replace("~", "~0").replace("/", "~1"), safe="~") for step in way)
        checker = self._validator({"$ref": f"{_NAME}#/{pointer}"}, registry=self._registry)
        errors = [
            f"{error.json_path}: {error.message}" for error in checker.iter_errors(instance) if error.json_path != but
        ]
        assert not errors, (errors, way, instance)

    def _template(self, path: str) -> str:
        for template in sorted(self.document["paths"], key=lambda text: text.count("{")):
            if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
                return str(template)
        raise AssertionError(f"the file has no path {path}")


@cache
def is_there(path: str) -> bool:
    """Whether the file lies where SPECS_DIR says."""
    return (SPECS / path).is_file()
