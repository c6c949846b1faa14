"""Workers of Dask that are pods of the training's own Job.

All pods of an indexed Job run `train` (https://kubernetes.io/docs/tasks/job/job-with-pod-to-pod-communication/).
Pod 0 trains, and has the scheduler for as long as it computes. The others are its workers until Kubernetes
ends them, which it does when pod 0 is done. Dask's connections have no login: a policy keeps others away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from ..settings import Settings, SettingsProblem

log = logging.getLogger(__name__)


@contextmanager
def client(settings: Settings) -> Iterator[Any]:
    """Return a `distributed.Client` with all its workers. RuntimeError names how many of them did not come.

    With `workers` this process has the scheduler; without, it is somewhere else.
    """
    from distributed import Client, LocalCluster

    address = settings.dask_scheduler
    if not settings.workers:
        with Client(address, set_as_default=False) as found:
            yield found
        return
    with (
        LocalCluster(
            n_workers=0, host="0.0.0.0", scheduler_port=_port(address), dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(f"tcp://127.0.0.1:{_port(address)}", set_as_default=False) as found,
    ):
        log.info("waiting for %d workers at %s", settings.workers, cluster.scheduler_address)
        try:
            found.wait_for_workers(settings.workers, timeout=settings.workers_timeout)
        except TimeoutError:
            came = len(found.scheduler_info()["workers"])
            raise RuntimeError(
                f"{came} of {settings.workers} workers came within {settings.workers_timeout:g} s: see why "
                "their pods do not start, or lower training_workers"
            ) from None
        yield found


def work(settings: Settings) -> None:
    """Work for the scheduler until this process is ended. A scheduler that goes away is looked for again."""
    from distributed import Worker

    async def worker() -> None:
        while True:
            try:
                async with Worker(settings.dask_scheduler, nthreads=1, death_timeout=30) as it:
                    log.info("working for %s", settings.dask_scheduler)
                    await it.finished()
            except (OSError, TimeoutError) as problem:
                log.info("%s does not answer: %s", settings.dask_scheduler, problem)
            await asyncio.sleep(1)

    asyncio.run(worker())


def _port(address: str) -> int:
    port = urlsplit(address).port
    if not port:
        raise SettingsProblem(
            f"METALWORKS_MODEL_DASK_SCHEDULER: {address!r} has no port: write tcp://NAME:8786"
        )
    return port
