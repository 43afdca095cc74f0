"""The README keeps its promises about the tree."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def test_the_readme_has_a_line_for_every_file_of_the_package_and_the_benchmarks() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    package = PROJECT / "src" / "receipt_ocr"
    files = [f for f in package.rglob("*.py") if f.name != "__init__.py"]
    in_rooms = [f for f in files if "pipelines" not in f.parts]
    stages = [
        folder for folder in (package / "pipelines").iterdir() if (folder / "nodes.py").exists()
    ]
    listed = re.findall(r"^ +([\w]+(?:\.py|/)) ", readme, flags=re.MULTILINE)
    expected = [f.name for f in in_rooms] + [f"{stage.name}/" for stage in stages]
    rooms = [f"{folder.name}/" for folder in package.iterdir() if (folder / "__init__.py").exists()]
    measured = [f.name for f in (PROJECT / "benchmarks").glob("*.py") if f.name != "__init__.py"]
    assert sorted(listed) == sorted(expected + rooms + measured)
