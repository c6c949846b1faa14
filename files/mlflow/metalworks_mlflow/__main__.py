"""Run the server: `python -m metalworks_mlflow`."""

from __future__ import annotations

import logging
import os


def main() -> None:
    """Answer requests until the process is told to end; then finish those that are being answered."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Before MLflow: it looks whether a server's modules are loaded.
    import uvicorn

    from .app import make_app
    from .migrate import DatabaseProblem, bring_up_to_date
    from .settings import Settings

    settings = Settings.read()
    try:
        said = bring_up_to_date(settings.database, settings.database_copied)
    except DatabaseProblem as problem:
        raise SystemExit(str(problem)) from None
    logging.getLogger("metalworks_mlflow").info(said)
    uvicorn.run(
        make_app(settings),
        host="",  # every address of the pod, of both families
        port=int(os.environ.get("PORT", "5000")),
        access_log=False,  # probes come every few seconds; /metrics counts requests, and refusals are logged
        timeout_graceful_shutdown=int(os.environ.get("METALWORKS_GRACE_SECONDS", "25")),
        server_header=False,
    )


if __name__ == "__main__":
    main()
