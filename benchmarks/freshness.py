"""Which results are older than the code that they measure?

    python -m benchmarks.freshness [--files] [--write] [--same FILES ...]

Compares the current code that a benchmark imports with the code at the commit in which
its figures were last written, or at which a later run gave the same ones. Comments,
docstrings and error messages do not count. Names the stale results, and with
``--files`` the changed files. The exit code is 0. ``--write`` puts the commits into
benchmarks/results/README.md; ``--same`` notes there that the benchmark of these files,
or a part of it, was run with the current commit and gave the same figures.
"""

import argparse
import ast
import re
import subprocess
import textwrap
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = "benchmarks/results/README.md"
OURS = ("benchmarks", "cofm_sklearn")
# Checks of input, files and repairs of modAL: they do not affect a run that works.
LEFT_OUT = ("cofm_sklearn/utils/", "cofm_sklearn/compat/")
_ROW = re.compile(
    r"^\| (`[^|]+?) \| (`python -m ([\w.]+)[^|]*) \| ([^|]*) \|(.*)$", re.M
)


def git(*arguments, root=ROOT):
    """Return what git prints."""
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def results(text):
    """Return the patterns of files, the module, and the commits of each row."""
    rows = _ROW.finditer(text)
    return [(re.findall(r"`([^`]+)`", m[1]), m[3], m[5]) for m in rows]


def written_in(patterns, root=ROOT):
    """Return the commit in which figures were last written, and its day.

    The figures are in tables: the text of a report may have changed since.
    """
    folder = root / TABLE
    files = sorted({f for p in patterns for f in folder.parent.glob(p)})
    tables = [f for f in files if f.suffix in (".csv", ".json")]
    tables = [f for f in tables if not f.name.endswith(".machine.json")] or files
    names = [f.relative_to(root).as_posix() for f in tables]
    found = git("log", "-1", "--format=%h %cs", "--", *names, root=root).split()
    return tuple(found) if found else None


def same_at(cell, made, root=ROOT):
    """Return the commit after `made` at which figures were the same, or None."""
    found = re.search(r"the same at `(\w+)`", cell)
    if not found or not git("rev-list", f"{made}..{found[1]}", root=root):
        return None
    return found[1]


def defining(module, name):
    """Return the module that defines what is imported from another module."""
    if find_spec(module).submodule_search_locations is not None:
        if find_spec(f"{module}.{name}"):
            return f"{module}.{name}"
        # A package only re-exports what its modules define.
        made = getattr(getattr(import_module(module), name), "__module__", None)
        return made if made and made.startswith(OURS) else module
    return module


def imports(tree):
    """Return the imports of our names, also in programs that are strings."""
    found = []
    for node in ast.walk(strip(tree)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith(OURS):
            found.append(node)
        if isinstance(node, ast.Constant) and "\nfrom cofm_" in str(node.value):
            found += imports(ast.parse(textwrap.dedent(node.value)))
    return found


def code_of(module):
    """Return the paths of a module and of all our modules that it imports."""
    todo, seen, files = [module], set(), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if find_spec(name).submodule_search_locations and find_spec(f"{name}.__main__"):
            todo.append(f"{name}.__main__")
        path = Path(find_spec(name).origin)
        files.add(path.relative_to(ROOT).as_posix())
        for node in imports(ast.parse(path.read_text(encoding="utf-8"))):
            todo += [defining(node.module, alias.name) for alias in node.names]
    return sorted(file for file in files if not file.startswith(LEFT_OUT))


def strip(tree):
    """Remove docstrings and error messages from a syntax tree; return it."""
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args = []
    return tree


def essence(source):
    """Return code without comments, docstrings and error messages."""
    return ast.dump(strip(ast.parse(source)))


def changed_since(commit, files, root=ROOT):
    """Return the files whose code has changed since a commit."""
    names = git("diff", "--name-only", commit, "--", *files, root=root).split()
    changed = []
    for name in names:
        path = root / name
        before = subprocess.run(
            ["git", "-C", str(root), "show", f"{commit}:{name}"],
            capture_output=True,
            text=True,
            check=False,
        )
        new = path.read_text(encoding="utf-8")
        if before.returncode or essence(before.stdout) != essence(new):
            changed.append(name)
    return changed


def write_commits(text, same=(), root=ROOT):
    """Return the table with the commits in its last column.

    Patterns of files in `same` have the same figures with the current commit.
    """

    def fill(match):
        patterns = re.findall(r"`([^`]+)`", match[1])
        made = written_in(patterns, root=root)
        cell = ""
        if made:
            again = same_at(match[5], made[0], root=root)
            if set(patterns) & set(same):
                again = git("rev-parse", "--short", "HEAD", root=root).strip()
            cell = f"`{made[0]}` of {made[1]}"
            cell += f", the same at `{again}`" if again else ""
        return f"| {match[1]} | {match[2]} | {match[4]} | {cell} |"

    return _ROW.sub(fill, text)


def main(arguments=None):
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", action="store_true", help="list what has changed")
    parser.add_argument(
        "--write", action="store_true", help=f"put commits into {TABLE}"
    )
    parser.add_argument(
        "--same", nargs="+", default=[], help="files whose figures came out the same"
    )
    options = parser.parse_args(arguments)
    table = ROOT / TABLE
    text = table.read_text(encoding="utf-8")
    if options.write or options.same:
        text = write_commits(text, options.same)
        table.write_text(text, encoding="utf-8")
    for patterns, module, cell in results(text):
        made = written_in(patterns)
        if made is None:
            print(f"{patterns[0]}: not committed")
            continue
        commit = same_at(cell, made[0]) or made[0]
        changed = changed_since(commit, code_of(module))
        state = (
            f"stale, {len(changed)} files changed since" if changed else "current, of"
        )
        print(f"{patterns[0]}: {state} {commit} (figures of {made[1]})")
        for name in changed if options.files else ():
            print(f"    {name}")


if __name__ == "__main__":
    main()
