"""The documents: generated pages are current, links lead somewhere, the README is short."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_generated_pages_are_current():
    """The command lines, the tables of a manifest, its JSON Schema and its types in TypeScript."""
    program = (
        "import json, sys; sys.path.insert(0, 'docs'); import generate_reference as g; "
        "print(json.dumps({str(path): make() for path, make in g.PAGES.items()}))"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pages = json.loads(process.stdout)
    assert len(pages) == 4
    for path, content in pages.items():
        stored = Path(path).read_text("utf-8")
        assert stored == content, f"{path}: run python docs/generate_reference.py"


def test_the_readme_is_at_most_8_kb():
    assert (ROOT / "README.md").stat().st_size <= 8_000


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_python_blocks_name_exists(page):
    """Attributes of `keras_seq` and `export`, and their keyword arguments, are real."""
    import keras_seq
    from export import export, load

    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S):
        for node in ast.walk(ast.parse(block)):
            if not isinstance(node, ast.Attribute):
                continue
            parts = ast.unparse(node).split(".")
            if parts[0] == "keras_seq":
                found = keras_seq
                for part in parts[1:]:
                    found = getattr(found, part)
    assert callable(export)
    assert callable(load)


def test_pages_name_no_option_that_is_not_there():
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    known = set(re.findall(r"--[a-z][a-z-]+", reference)) | {"--prefix", "--help"}
    for page in PAGES:
        for line in re.findall(
            r"^(?:.*keras-seq |.*python -m export).*$", page.read_text("utf-8"), re.M
        ):
            for option in re.findall(r"--[a-z][a-z-]+", line):
                assert option in known, (page.name, option, line)
