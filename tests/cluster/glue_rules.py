"""The Glue catalogue of moto, made as strict as AWS where moto takes what AWS refuses.

The marks of the rules are explained in cloud.py, which also lets calls fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

from botocore.loaders import Loader
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.glue.models import glue_backends
from moto.glue.responses import GlueResponse

from cluster.cloud import ACCOUNT, REGION

STRICT = ("GetDatabase", "CreateDatabase", "GetTable", "CreateTable", "UpdateTable")


@contextmanager
def strict_glue() -> Iterator[dict[str, Any]]:
    """Play AWS's rules for the block, with an empty catalogue; gives its databases."""
    databases = glue_backends[ACCOUNT][REGION].databases
    databases.clear()
    methods = {operation: re.sub(r"\B([A-Z])", r"_\1", operation).lower() for operation in STRICT}
    rules = {method: _ruled(operation, getattr(GlueResponse, method)) for operation, method in methods.items()}
    with patch.multiple(GlueResponse, **rules):
        yield databases


def _ruled(operation: str, original: Any) -> Any:
    def answer(response: Any) -> ActionResult:
        given = response.parameters
        _refuse_form(given, _model()["operations"][operation]["input"]["shape"], operation)
        response.body = json.dumps(_folded(given))
        if operation == "UpdateTable":
            _refuse_stale(given)
        found = original(response)
        return found if isinstance(found, ActionResult) else ActionResult({})

    return answer


def _refuse_stale(given: Mapping[str, Any]) -> None:
    """Refuse a version that is not the current one [B UpdateTable; code and words: G apache/iceberg#8636]."""
    table = glue_backends[ACCOUNT][REGION].get_table(given["DatabaseName"], given["TableInput"]["Name"])
    if given.get("VersionId") not in (None, table.as_dict()["VersionId"]):
        raise JsonRESTError("ConcurrentModificationException", "Update table failed due to concurrent modifications.")


def _folded(given: dict[str, Any]) -> dict[str, Any]:
    """Write names in lower case, as they are stored [B TableInput, DatabaseInput]."""
    for holder in (given, given.get("TableInput", {}), given.get("DatabaseInput", {})):
        holder.update({key: holder[key].lower() for key in ("Name", "DatabaseName") if key in holder})
    return given


def _refuse_form(value: Any, shape: str, path: str) -> None:
    """Refuse what is too short, too long or of other characters than the model of the API allows [B]; with a
    ValidationException [G apache/paimon#8223]."""
    rule = _model()["shapes"][shape]
    if rule["type"] == "structure":
        for key in value:
            _refuse_form(value[key], rule["members"][key]["shape"], f"{path}.{key}")
    elif rule["type"] == "map":
        for key in value:
            _refuse_form(key, rule["key"]["shape"], f"{path}.{key}")
            _refuse_form(value[key], rule["value"]["shape"], f"{path}.{key}")
    elif rule["type"] == "list":
        for member in value:
            _refuse_form(member, rule["member"]["shape"], path)
    elif rule["type"] == "string":
        # outside of the BMP the pattern names surrogates, which Python writes as one character
        pattern = rule.get("pattern", r"[\s\S]*").replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
        fits = rule.get("min", 0) <= len(value) <= rule.get("max", len(value)) and re.fullmatch(pattern, value)
        if not fits:
            raise JsonRESTError("ValidationException", f"Value at '{path}' failed to satisfy constraint: {rule}")


@cache
def _model() -> dict[str, Any]:
    return dict(Loader().load_service_model("glue", "service-2"))
