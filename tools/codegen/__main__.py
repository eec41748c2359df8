"""`python -m tools.codegen`: write `client/prefect/_generated`, or with `--check` say whether it is up to date.

Exit codes: 0 written or up to date; 1 something is wrong (each problem on stderr) or, with `--check`, out of date.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from tools.codegen.collect import collect
from tools.codegen.documents import load
from tools.codegen.errors import CodegenError, Problem
from tools.codegen.render import render

ROOT = Path(__file__).resolve().parents[2]
RESERVED = frozenset({"__init__", "operations", "types", "inputs", "enums"})


def format_python(text: str, name: str) -> str:
    """Return `text` as `ruff format` writes it, under the repository's settings."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", name, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603 - our own text
    if done.returncode:
        raise CodegenError([Problem(name, f"ruff cannot format the generated text: {done.stderr.strip()}")])
    return done.stdout


def generate(schema: Path, operations: Path) -> dict[str, str]:
    """Return the text of every generated file by its name; raises `CodegenError`."""
    checked = load(schema, operations)
    clashes = sorted(RESERVED & set(checked.operations))
    if clashes:
        raise CodegenError([Problem(f"{name}.graphql", "this name belongs to a generated module") for name in clashes])
    return {name: format_python(text, name) for name, text in render(collect(checked)).items()}


def _write(files: dict[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        target = folder / name
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
    for stale in set(folder.glob("*.py")) - {folder / name for name in files}:
        stale.unlink()


def _differences(files: dict[str, str], folder: Path) -> list[Problem]:
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    return [
        Problem(str(folder / name), "is not what the operations and the schema say; run `make generate`")
        for name in sorted(set(files) | set(found))
        if files.get(name) != found.get(name)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the generator; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.codegen", description="Generate prefect._generated.")
    parser.add_argument("--schema", type=Path, default=ROOT / "schema.graphql")
    parser.add_argument("--operations", type=Path, default=ROOT / "client" / "operations")
    parser.add_argument("--output", type=Path, default=ROOT / "client" / "prefect" / "_generated")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the output is out of date")
    options = parser.parse_args(arguments)
    try:
        files = generate(options.schema, options.operations)
        if options.check:
            problems = _differences(files, options.output)
            if problems:
                raise CodegenError(problems)  # noqa: TRY301 - one place prints problems
        else:
            _write(files, options.output)
    except CodegenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
