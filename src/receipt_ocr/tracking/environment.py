"""Code, libraries and machine that a run was made with."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("receipt_ocr", "torch", "lightning", "timm", "albumentations", "opencv-python-headless")
"""Packages whose versions decide the outcome of a training; none is imported for it."""


def describe_environment(project: Path) -> dict[str, str]:
    """Collect tags of a run: the commit, whether the tree differs from it, versions and machine."""
    machine = f"{platform.system()} {platform.machine()}"
    tags = {"environment.python": platform.python_version(), "environment.machine": machine}
    for package in PACKAGES:
        try:
            tags[f"environment.{package}"] = version(package)
        except PackageNotFoundError:
            continue
    commit = read_commit(project)
    if commit:
        tags["mlflow.source.git.commit"] = commit
        changes = _git(project, "status", "--porcelain", "--untracked-files=no")
        tags["git.changed"] = str(bool(changes)).lower()
    return tags


def read_commit(project: Path) -> str | None:
    """Read the git commit that is checked out; None outside a repository."""
    return _git(project, "rev-parse", "HEAD")


def _git(project: Path, *words: str) -> str | None:
    command = ["git", "-C", str(project), *words]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip()
