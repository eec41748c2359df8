"""Pages of the documentation: links lead somewhere, each page can be found, and each dependency has its reason."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    plain = [
        re.sub(r"[^\w\- ]", "", heading.lower()) for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    ]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index_and_in_the_readme() -> None:
    names = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    for start, folder in ((DOCS / "index.md", ""), (ROOT / "README.md", "docs/")):
        linked = {link.removeprefix(folder).partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose(start))}
        assert names <= linked, start


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = set(re.findall(r"^\| ([\w-]+)", (DOCS / "dependencies.md").read_text("utf-8"), re.MULTILINE))
    assert {re.split(r"[^\w-]", dependency)[0] for dependency in project["dependencies"]} <= named
