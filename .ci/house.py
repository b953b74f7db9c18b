"""House rules that no linter knows: sizes, the line that opens each module, and no registry's host in any file."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "accounts", "tenants", "chat")
MODULE_LINES = 300
FUNCTION_LINES = 40
HOSTS = re.compile(
    r"\bpy[p]i\.(org|python)|python[h]osted|registry\.[n]pmjs|(index|extra-index)-[u]rl\s*=?\s*http", re.IGNORECASE
)


def main() -> int:
    files = [Path(name) for name in _git_files()]
    problems = [*_sizes(files), *_hosts(files)]
    print("\n".join(problems) or "house rules: kept", file=sys.stderr if problems else sys.stdout)
    return 1 if problems else 0


def _git_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _sizes(files: list[Path]) -> Iterator[str]:
    for file in files:
        if file.suffix != ".py" or file.parts[0] not in PACKAGES or "migrations" in file.parts:
            continue
        source = (ROOT / file).read_text()
        if not source:
            continue
        tree = ast.parse(source)
        if (length := len(source.splitlines())) > MODULE_LINES:
            yield f"{file}: {length} lines, {MODULE_LINES} at most"
        opening = (ast.get_docstring(tree, clean=False) or "").strip().partition("\n")[0]
        if not opening.endswith((".", ":")):
            yield f"{file}: must open with a line that says what it alone does"
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES:
                yield f"{file}:{node.lineno}: {node.name} has {length} lines, {FUNCTION_LINES} at most"


def _hosts(files: list[Path]) -> Iterator[str]:
    for file in files:
        try:
            lines = (ROOT / file).read_text().splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            if HOSTS.search(line):
                yield f"{file}:{number}: names a package registry's host"


if __name__ == "__main__":
    sys.exit(main())
