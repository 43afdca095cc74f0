"""Run the project as ``python -m receipt_ocr``: the same options as ``kedro run``."""

from pathlib import Path

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

__all__ = ["main"]


def main() -> None:
    """Configure the package and hand over to Kedro's run command."""
    package = Path(__file__).parent.name
    configure_project(package)
    find_run_command(package)()


if __name__ == "__main__":
    main()
