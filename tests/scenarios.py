#!/usr/bin/env python3
"""Run Molecule scenarios, some at a time, and say how each ended and how long it took.

Scenarios of applications share one cluster and run one after the other; the others have machines and a
network of their own in each lane. Nothing of it is left at the end, neither after a failure nor after Ctrl-C.
The whole logs are kept in test-output/molecule.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT / "molecule" / "shared"
LOGS = Path(os.environ.get("METALWORKS_TEST_OUTPUT", ROOT / "test-output")) / "molecule"
CLUSTER = SHARED / "inventory" / "cluster.yml"
KEEP = "METALWORKS_MOLECULE_KEEP_CLUSTER"  # the variable that lets a scenario leave the cluster to the next

NAME = os.environ.get("METALWORKS_MOLECULE", "molecule")
# The network of each lane; the shared cluster has one of its own.
NETWORKS = os.environ.get("METALWORKS_MOLECULE_NETWORK", "172.30.8 172.30.19").split()
# Far more than the slowest scenario takes on a busy computer: what takes longer hangs.
LONGEST_SECONDS = 5400 if os.environ.get("METALWORKS_LONG_TESTS") else 1800
HEARTBEAT_SECONDS = 30
LINES_SHOWN = 100
# How Ansible, pytest and Molecule begin to tell of a failure.
FAILURE = re.compile(
    r"^\[ERROR\]|^fatal: |^=+ (FAILURES|ERRORS) =+$|^CRITICAL|Traceback \(most recent call last\)"
)


class Interrupted(Exception):
    """Somebody wants the run to end."""


class Run:
    """What is still to be run, what runs, and how the rest ended."""

    def __init__(self, scenarios: list[str]) -> None:
        self.scenarios = scenarios
        # One after the other: they use one cluster.
        self.sharing = [name for name in scenarios if shares_the_cluster(name)]
        alone = [[name] for name in scenarios if name not in self.sharing]
        # The longest first, so that no lane is idle at the end.
        self.waiting = deque([self.sharing, *alone] if self.sharing else alone)
        self.running: dict[str, tuple[subprocess.Popen[bytes], float, dict[str, str]]] = {}
        self.failed: list[str] = []
        self.passed = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.last_word = time.monotonic()

    def lane(self, number: int) -> None:
        """Run what waits, until nothing does."""
        environment = lane_environment(number)
        while not self.stopping.is_set():
            with self.lock:
                if not self.waiting:
                    return
                chain = self.waiting.popleft()
            for scenario in chain:
                self.one(scenario, environment)

    def one(self, scenario: str, environment: dict[str, str]) -> None:
        """Run one scenario, and say how it ended."""
        log = LOGS / f"{scenario}.log"
        began = time.monotonic()
        with log.open("wb") as output:
            # Under the lock: a scenario that is not yet written down would not be ended by an interruption.
            with self.lock:
                if self.stopping.is_set():
                    return
                process = subprocess.Popen(
                    ["molecule", "test", "--scenario-name", scenario], **by_itself(environment, output)
                )
                self.running[scenario] = (process, began, environment)
            try:
                code = process.wait(LONGEST_SECONDS)
            except subprocess.TimeoutExpired:
                end(process)
                output.write(f"\nIt took longer than {LONGEST_SECONDS} s and was ended.\n".encode())
                code = -1
        with self.lock:
            del self.running[scenario]
            if self.stopping.is_set():
                return
            if code == 0:
                self.passed += 1
            else:
                self.failed.append(scenario)
                print("\n".join((f"---- from {log}", *telling(log.read_text(errors="replace")), "----")))
            done = self.passed + len(self.failed)
            verdict = "FAILED" if code else "ok"
            seconds = time.monotonic() - began
            self.say(f"{scenario:<22} {verdict:<7} {seconds:4.0f} s   {done} of {len(self.scenarios)}")
        if code:
            # Where Molecule itself was ended, machines are left.
            destroy(scenario, environment)

    def say(self, words: str) -> None:
        print(words, flush=True)
        self.last_word = time.monotonic()

    def watch(self, lanes: list[threading.Thread]) -> None:
        """Wait for the lanes, and show that they live."""
        while any(lane.is_alive() for lane in lanes):
            time.sleep(0.1)
            with self.lock:
                if self.running and time.monotonic() - self.last_word > HEARTBEAT_SECONDS:
                    self.say(
                        "\n".join(
                            f"  {name}: {time.monotonic() - began:.0f} s, {task(name)}"
                            for name, (_, began, _) in self.running.items()
                        )
                    )

    def stop(self, lanes: list[threading.Thread]) -> None:
        """End what runs, and remove what it made."""
        self.stopping.set()
        with self.lock:
            running = dict(self.running)
        for process, *_ in running.values():
            end(process)
        for lane in lanes:
            lane.join()
        for scenario, (_, _, environment) in running.items():
            destroy(scenario, environment)


def shares_the_cluster(scenario: str) -> bool:
    return f"inventory/{CLUSTER.name}" in (ROOT / "molecule" / scenario / "molecule.yml").read_text()


def lane_environment(number: int) -> dict[str, str]:
    """Names and networks that belong to one lane."""
    return {
        **os.environ,
        "METALWORKS_MOLECULE": NAME if number == 0 else f"{NAME}-{number + 1}",
        "METALWORKS_MOLECULE_NETWORK": NETWORKS[number],
        "METALWORKS_MOLECULE_CLUSTER": os.environ.get("METALWORKS_MOLECULE_CLUSTER", f"{NAME}-cluster"),
        KEEP: "yes",
        "ANSIBLE_FORCE_COLOR": "0",
    }


def by_itself(environment: dict[str, str], output: BinaryIO) -> dict[str, Any]:
    """How a program runs whose log is kept: it asks nothing, and Ctrl-C does not reach it."""
    return {
        "cwd": ROOT,
        "env": environment,
        "stdin": subprocess.DEVNULL,
        "stdout": output,
        "stderr": subprocess.STDOUT,
        "start_new_session": True,
    }


def task(scenario: str) -> str:
    """The last task that a log names."""
    text = (LOGS / f"{scenario}.log").read_text(errors="replace")
    return next(reversed(re.findall(r"TASK \[([^\]\n]+)|(?<=/)test_\S+\.py", text)), "it begins")


def telling(text: str) -> list[str]:
    """The lines of a log from the first failure on; what came after it, such as the removal, tells less."""
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if FAILURE.search(line)), -LINES_SHOWN)
    return lines[first:][:LINES_SHOWN]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program with all that it started: first as Ctrl-C does, then for good."""
    for how, seconds in ((signal.SIGINT, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, how)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def destroy(scenario: str, environment: dict[str, str]) -> None:
    """Remove what a scenario has left."""
    with (LOGS / f"{scenario}.log").open("ab") as output:
        command = ["molecule", "destroy", "--scenario-name", scenario]
        subprocess.run(command, **by_itself(environment, output), check=False)


def remove_cluster() -> bool:
    """Remove the shared cluster; whether that went well."""
    done = subprocess.run(
        ["ansible-playbook", "--inventory", CLUSTER, SHARED / "leave_cluster.yml"],
        cwd=ROOT,
        env={**lane_environment(0), KEEP: ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    if done.returncode:
        print(f"The shared cluster could not be removed:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def interrupt(*_: object) -> None:
    raise Interrupted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scenarios", nargs="+")
    parser.add_argument(
        "--lanes",
        type=int,
        choices=range(1, len(NETWORKS) + 1),
        default=len(NETWORKS),
        help="how many scenarios run at a time (default: %(default)s)",
    )
    asked = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupt)
    run = Run(asked.scenarios)
    clean = not run.sharing or remove_cluster()  # a run that was killed may have left it
    lanes = [threading.Thread(target=run.lane, args=(number,)) for number in range(asked.lanes)]
    try:
        for lane in lanes:
            lane.start()
        run.watch(lanes)
    except Interrupted:
        print("Interrupted: what was made is removed.", flush=True)
        run.stop(lanes)
        return 130
    finally:
        if run.sharing:
            clean = remove_cluster() and clean
    print(f"{run.passed} passed, {len(run.failed)} failed")
    if run.failed:
        print(f"Failed: {' '.join(run.failed)} (whole logs: {LOGS}/)")
    return 1 if run.failed or not clean or run.passed != len(asked.scenarios) else 0


if __name__ == "__main__":
    sys.exit(main())
