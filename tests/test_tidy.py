"""Style is a test: what STYLE.md asks of every file and can be counted, counted."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE_ROOTS = ("transport", "router", "supervisor", "tui", "chaos")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500

SLEEPS = {"sleep", "sleep_until"}
MAY_SLEEP = {"conftest.py", "test_virtual_clock.py"}
"""Builders wait on conditions, for tests that then don't have to; on a virtual clock a sleep takes no time."""

ENTRY_MODULES = {"__init__", "__main__"}
"""Modules that nobody imports by name."""


@cache
def read(path: Path) -> ast.Module:
    """Parse one file, once."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


SOURCES = sorted(path for root in SOURCE_ROOTS for path in (ROOT / root / "agt").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SCRIPTS = sorted(path for folder in ("scripts", "examples") for path in (ROOT / folder).rglob("*.py"))

EVERYTHING = (*SOURCES, *TESTS, *SCRIPTS)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods and nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def where(path: Path) -> str:
    """A file's name for a report: all of them come at once, so that one run finds everything."""
    return str(path.relative_to(ROOT))


def test_files_and_functions_stay_short() -> None:
    """One idea a file, one thought a function."""
    long: list[str] = []
    for path in EVERYTHING:
        if len(path.read_text(encoding="utf-8").splitlines()) > FILE_LINES_MAX:
            long.append(where(path))
        for function in functions(read(path)):
            assert function.end_lineno is not None
            if function.end_lineno - function.lineno + 1 > FUNCTION_LINES_MAX:
                long.append(f"{where(path)}: {function.name}")
    assert long == []


def test_a_file_says_why_it_exists() -> None:
    """Each has a docstring of its own."""
    assert [where(path) for path in EVERYTHING if not ast.get_docstring(read(path))] == []


def test_each_test_says_what_it_shows() -> None:
    """The name is a sentence, the docstring the reason."""
    silent = [
        f"{where(path)}: {function.name}"
        for path in TESTS
        for function in functions(read(path))
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def test_no_test_sleeps() -> None:
    """A test that sleeps is slow when it passes and flaky when it doesn't: wait on a condition instead."""
    asleep = [
        f"{where(path)}: line {node.lineno}"
        for path in TESTS
        if path.name not in MAY_SLEEP
        for node in ast.walk(read(path))
        if isinstance(node, ast.Call) and called(node) in SLEEPS
    ]
    assert asleep == []


def called(node: ast.Call) -> str:
    """The last part of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def test_exports_are_sorted_and_there() -> None:
    """`__all__` is a sorted tuple of names that the module really has."""
    assert [f"{where(path)}: {problem}" for path in SOURCES for problem in export_problems(read(path))] == []


def export_problems(tree: ast.Module) -> Iterator[str]:
    """What is wrong with a module's `__all__`, where it has one."""
    for node in tree.body:
        if not isinstance(node, ast.Assign) or "__all__" not in [getattr(one, "id", "") for one in node.targets]:
            continue
        if not isinstance(node.value, ast.Tuple):
            yield "__all__ is no tuple"
            continue
        names = [ast.literal_eval(element) for element in node.value.elts]
        if names != sorted(names, key=export_order):
            yield "__all__ is not sorted"
        if len(set(names)) != len(names):
            yield "__all__ names something twice"
        if missing := set(names) - set(bound_names(tree)):
            yield f"__all__ names what isn't there: {sorted(missing)}"


def export_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff's own fix would write."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Names that a module binds at its top level."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_every_package_has_a_door() -> None:
    """A folder with modules has an `__init__.py`; only `agt` itself is a namespace."""
    folders = {path.parent for path in SOURCES}
    doorless = [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()]
    assert [folder for folder in sorted(doorless) if Path(folder).name != "agt"] == []
    assert not [path for path in SOURCES if path.parent.name == "agt"], "`agt` is a namespace and holds no files"


def test_test_files_have_names_of_their_own() -> None:
    """Without packages in tests, two files of one name would be one module."""
    names = [path.name for path in TESTS if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
    assert not [path for path in TESTS if path.name == "__init__.py"]


def module_name(path: Path) -> str:
    """The dotted name of a source file."""
    root = next(ROOT / root for root in SOURCE_ROOTS if path.is_relative_to(ROOT / root))
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def mentioned(path: Path) -> Iterator[str]:
    """Modules that a file imports, in any way that we use."""
    for node in ast.walk(read(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("agt."):
            yield node.value.partition(":")[0]  # Modules that are started by name: `python -m agt.x.y`.


def test_no_private_module_is_an_orphan() -> None:
    """What nobody imports and nobody starts is dead, however well it is tested."""
    used = {name for path in [*SOURCES, *SCRIPTS] for name in mentioned(path)}
    used |= {word.strip('"').partition(":")[0] for word in (ROOT / "pyproject.toml").read_text().split()}
    orphans = [
        module_name(path)
        for path in SOURCES
        if path.stem.startswith("_") and path.stem not in ENTRY_MODULES and module_name(path) not in used
    ]
    assert orphans == []
