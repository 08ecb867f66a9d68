"""History is written inside a transaction. A page that forgot it fails for people, and not in tests, which have one of their own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import referrals

HERE = Path(referrals.__file__).parent


def _forgotten(path: Path) -> Iterator[str]:
    """Functions that write history themselves and open no transaction."""
    text = path.read_text()
    for node in ast.walk(ast.parse(text)) if "import record" in text or ", record" in text else ():
        if not isinstance(node, ast.FunctionDef):
            continue
        calls = [
            call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        ]
        source = "".join(ast.get_source_segment(text, part) or "" for part in (node, *node.decorator_list))
        if {"record", "record_many"} & set(calls) and "atomic" not in source:
            yield f"{path.name}: {node.name}"


def test_every_page_that_writes_history_opens_a_transaction() -> None:
    found = [
        name
        for layer in ("web", "hosted")
        for path in sorted((HERE / layer).rglob("*.py"))
        for name in _forgotten(path)
    ]
    assert found == []
