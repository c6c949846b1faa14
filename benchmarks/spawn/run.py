#!/usr/bin/env python3
"""Measure the time from the click on Start to a cell that has run, and its phases.

Asks the running platform: `make up` first. Writes result.md beside itself.
    benchmarks/spawn/run.py [--runs 10] [--profile datascience] [--inventory inventories/lab] [--cold-browser]
"""

from __future__ import annotations

import argparse
import json
import os
import platform as computer
import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from pages import HomePage, Lab, LoginPage, SpawnPage  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from kubernetes import client, config, watch  # noqa: E402 (the path comes first)

NAMESPACE = "jupyterhub"
BAR_SECONDS = 8.0
PHASES = ["pod scheduled", "container started", "server answers", "lab loaded", "kernel ready", "cell ran"]
RUNNING = re.compile(r"^(\S+) .*Jupyter Server \S+ is running at")


@dataclass
class Run:
    """When each phase of one start ended, in seconds since the click."""

    click: float = 0.0
    ends: dict[str, float] = field(default_factory=dict)

    def mark(self, phase: str, when: float | None = None) -> None:
        """Note when a phase ended (now, if nothing is given); only the first time counts."""
        self.ends.setdefault(phase, (when or time.time()) - self.click)

    def lengths(self) -> dict[str, float]:
        """Each phase alone."""
        ends = [0.0, *(self.ends[phase] for phase in PHASES)]
        return {phase: ends[i + 1] - ends[i] for i, phase in enumerate(PHASES)}


class PodWatch:
    """Marks what happens to a user's pod as the API tells it: its own timestamps count whole seconds only."""

    def __init__(self, core: client.CoreV1Api, pod: str, run: Run) -> None:
        """Prepare to watch a pod of the users' namespace."""
        self.core, self.pod, self.run = core, pod, run
        self._stream = watch.Watch()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> PodWatch:
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._stream.stop()

    def _follow(self) -> None:
        selector = f"metadata.name={self.pod}"
        for event in self._stream.stream(
            self.core.list_namespaced_pod, NAMESPACE, field_selector=selector, timeout_seconds=120
        ):
            pod = event["object"]
            if pod.spec.node_name:
                self.run.mark("pod scheduled")
            if any(status.started for status in pod.status.container_statuses or []):
                self.run.mark("container started")


def when_it_answered(core: client.CoreV1Api, pod: str) -> float:
    """When the server in the pod began to listen, by its log."""
    for line in core.read_namespaced_pod_log(pod, NAMESPACE, timestamps=True).splitlines():
        if found := RUNNING.match(line):
            return datetime.fromisoformat(found[1][:26] + "+00:00").timestamp()
    raise SystemExit(f"The log of {pod} does not say when the server began to listen.")


def measure(page: Page, core: client.CoreV1Api, arguments: argparse.Namespace) -> Run:
    """One start, from a stopped server."""
    run, pod = Run(), f"jupyter-{arguments.user['name']}"
    HomePage(page, arguments.hub_url).stop_server()
    wait_gone(core, pod)
    form = SpawnPage(page, arguments.hub_url).open().choose(arguments.profile)
    lab = Lab(page)
    run.click = time.time()
    with PodWatch(core, pod, run):
        form.start()
        lab.wait_ready()
        run.mark("lab loaded")
        lab.new_notebook()
        run.mark("kernel ready")
        output = lab.run(0, "print(6 * 7)")
        run.mark("cell ran")
    run.mark("server answers", when_it_answered(core, pod))
    if output.text != "42":
        raise SystemExit(f"The cell printed {output}")
    discard_notebook(page)
    return run


def discard_notebook(page: Page) -> None:
    """Leave a clean workspace, so that the next start opens the launcher."""
    page.goto(f"{page.url.partition('/lab')[0]}/lab?reset")
    Lab(page).wait_ready()
    page.wait_for_timeout(1500)  # the lab stores its workspace a second after the last change


def wait_gone(core: client.CoreV1Api, pod: str) -> None:
    """A pod that is still stopping would be counted into the next start."""
    while any(found.metadata.name == pod for found in core.list_namespaced_pod(NAMESPACE).items):
        time.sleep(0.2)


@contextmanager
def new_page(browser: Browser, arguments: argparse.Namespace) -> Iterator[Page]:
    """A window in which the user is logged in."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    user = arguments.user
    LoginPage(page, arguments.hub_url).open("/hub/home").log_in(user["name"], user["password"])
    yield page
    context.close()


def measure_all(core: client.CoreV1Api, arguments: argparse.Namespace) -> list[Run]:
    """All runs, one after the other. The first start makes the home and is not counted."""
    runs: list[Run] = []
    with sync_playwright() as playwright:
        executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        with new_page(browser, arguments) as page:
            measure(page, core, arguments)
            for number in range(arguments.runs):
                if arguments.cold_browser:
                    with new_page(browser, arguments) as fresh:
                        runs.append(measure(fresh, core, arguments))
                else:
                    runs.append(measure(page, core, arguments))
                print(f"  {number + 1:2d}: {runs[-1].ends['cell ran']:.1f} s", flush=True)
        browser.close()
    return runs


def report(runs: list[Run], arguments: argparse.Namespace) -> str:
    """The result as a page."""
    totals = [run.ends["cell ran"] for run in runs]
    lengths = [run.lengths() for run in runs]
    table = {phase: [each[phase] for each in lengths] for phase in PHASES}
    largest = max(PHASES, key=lambda phase: statistics.median(table[phase]))
    load = os.getloadavg()[0]
    browser = (
        "nothing cached in the browser" if arguments.cold_browser else "one window, as a person keeps it"
    )
    setting = f"{os.cpu_count()} cores ({computer.machine()}), load {load:.1f}, {len(runs)} starts"
    rows = [f"| {p} | {statistics.median(table[p]):.1f} | {max(table[p]):.1f} |" for p in PHASES]
    return "\n".join(
        [
            "# Start to a cell that ran",
            "",
            f"`benchmarks/spawn/run.py`, {datetime.now():%Y-%m-%d}, {setting}, "
            f"image `{arguments.profile}` on the node, {browser}.",
            "",
            f"**median {statistics.median(totals):.1f} s, worst {max(totals):.1f} s** "
            f"(bar: median {BAR_SECONDS:.0f} s). Most time goes to: {largest}.",
            "",
            "| phase | median s | worst s |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--profile", default="datascience")
    parser.add_argument("--inventory", type=Path, default=ROOT / "inventories" / "lab")
    parser.add_argument(
        "--cold-browser", action="store_true", help="a window with an empty cache for each start"
    )
    arguments = parser.parse_args()
    name = os.environ.get("METALWORKS_LAB", "lab")
    record = arguments.inventory / ".state" / name / "platform.json"
    if not record.exists():
        raise SystemExit(f"No platform is recorded at {record}: run `make up` first.")
    platform = json.loads(record.read_text())
    arguments.hub_url = platform["hub_url"].rstrip("/")
    arguments.user = platform["users"][0]
    arguments.kubeconfig, arguments.context = platform["kubeconfig"], platform["context"]
    return arguments


def main() -> int:
    """Measure, write the result, and return the exit code."""
    arguments = parse()
    with config.new_client_from_config(arguments.kubeconfig, arguments.context) as api:
        runs = measure_all(client.CoreV1Api(api), arguments)
    page = report(runs, arguments)
    print(page)
    (Path(__file__).parent / "result.md").write_text(page)
    return int(statistics.median(run.ends["cell ran"] for run in runs) > BAR_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
