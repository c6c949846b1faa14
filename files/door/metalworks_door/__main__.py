"""Run the door: `python -m metalworks_door SETTINGS`, where SETTINGS is a JSON file."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from .app import serve
from .settings import SettingsError, read_settings


def main(arguments: list[str]) -> int:
    """Run the door with the settings of a file, and return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    # JupyterHub's library tells of each cookie and of each unknown token.
    logging.getLogger("tornado").setLevel(logging.ERROR)
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        settings = read_settings(Path(arguments[0]))
    except SettingsError as error:
        print(f"The settings cannot be used: {error}", file=sys.stderr)
        return 1
    asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
