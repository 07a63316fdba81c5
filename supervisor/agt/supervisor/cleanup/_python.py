"""Finds migration code in Python, by its syntax tree. Pure; nothing is imported or run.

What counts: `agt.router` and what is imported from it, the legacy and canary classes under whatever name they were
imported, definitions that carry `@deprecated`, names of the dark launch, and variables of the migration that are read
by name. A name that only looks alike in a string or a comment is left alone.
"""

import ast
import re
from typing import Final

from agt.supervisor.cleanup._find import Find, FindKind
from agt.supervisor.cleanup._settings import CONFIGURATION_KEYS

ROUTER: Final = "agt.router"
CLASSES: Final = {
    "LegacyTransport": "use ReliableTransport, as document 004 shows",
    "LegacyPath": "send through ReliableTransport directly",
    "CanaryRouter": "call the reliable transport directly, as document 004 shows",
    "DarkLaunch": "nothing is mirrored any more",
}
"""Classes that go, whichever module they come from: the documents' own code has the same names."""
NAMES: Final = re.compile(
    r"(?:^|_)(?:dark_launch|canary_(?:pct|percentage|router)|legacy_transport)(?:_|$)", re.IGNORECASE
)
READS_ENVIRONMENT: Final = ("environ", "getenv", "env", "get")


def find_in_python(file: str, source: str, *, kind: FindKind = "code") -> list[Find]:
    """Return what can go in a module.

    Raises:
        SyntaxError: when it isn't Python of this version.
    """
    seeker = _Seeker(file, kind)
    seeker.visit(ast.parse(source, filename=file))
    return sorted(seeker.finds)


class _Seeker(ast.NodeVisitor):
    """Walks one module."""

    def __init__(self, file: str, kind: FindKind) -> None:
        self._file = file
        self._kind: FindKind = kind
        self._known = {name: name for name in CLASSES}
        self.finds: set[Find] = set()

    def visit_Import(self, node: ast.Import) -> None:
        for one in node.names:
            if _is_router(one.name):
                self._found(node, one.name, "the routing layer goes with the second runtime")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        from_agt = [one for one in node.names if module == "agt" and one.name == "router"]
        if _is_router(module) or from_agt:
            names = ", ".join(one.name for one in from_agt or node.names)
            self._found(node, f"{module} ({names})", "the routing layer goes with the second runtime")
        for one in node.names:
            if one.name in CLASSES:
                self._known[one.asname or one.name] = one.name
                self._found(node, one.name, CLASSES[one.name])

    def visit_Name(self, node: ast.Name) -> None:
        self._named(node, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._named(node, node.attr)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self._named(node, node.arg)
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg is not None:
            self._named(node.value, node.arg)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._defined(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._defined(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._defined(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _last(node.func) in READS_ENVIRONMENT:
            self._read(node, node.args[:1])
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._read(node, [node.slice])
        self.generic_visit(node)

    def _defined(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if _last(call) == "deprecated":
                self._found(node, node.name, f"it is marked deprecated: {_words(decorator)}")
        if node.name in CLASSES:
            self._found(node, node.name, CLASSES[node.name])
        elif NAMES.search(node.name):
            self._found(node, node.name, "it is named for the migration")
        self.generic_visit(node)

    def _named(self, node: ast.AST, name: str) -> None:
        if name in self._known:
            self._found(node, self._known[name], CLASSES[self._known[name]])
        elif NAMES.search(name):
            says = CONFIGURATION_KEYS.get(name, "it is named for the migration")
            self._found(node, name, says)

    def _read(self, node: ast.AST, keys: list[ast.expr]) -> None:
        for key in keys:
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value in CONFIGURATION_KEYS:
                self._found(node, key.value, CONFIGURATION_KEYS[key.value])

    def _found(self, node: ast.AST, what: str, says: str) -> None:
        line = getattr(node, "lineno", 1)
        self.finds.add(Find(file=self._file, line=line, kind=self._kind, what=what, says=says))


def _is_router(module: str) -> bool:
    return module == ROUTER or module.startswith(f"{ROUTER}.")


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _words(decorator: ast.expr) -> str:
    if isinstance(decorator, ast.Call) and decorator.args and isinstance(decorator.args[0], ast.Constant):
        return str(decorator.args[0].value)
    return "no reason given"
