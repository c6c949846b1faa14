#!/usr/bin/env python3
"""Compare the model server with MLServer, BentoML and `mlflow models serve`, with the same model and answers.

Each round starts one server after the other on core 0, with the load on core 1: start to ready, memory (PSS
of all its processes, after load), saturation with 16 connections (wrk), and 200 requests/s (load.py). At the
end ours gets twice its saturated rate. wrk is also run against a server that answers without thinking, to
show what the load generator can do. Writes result.md and raw.json beside itself.
    benchmarks/serving/run.py --ours PYTHON --mlserver PYTHON --bentoml PYTHON --mlflow PYTHON
        [--model FOLDER] [--rounds 5] [--seconds 5]
The interpreters have files/model/requirements.txt, and those of anchors/. wrk has to be on the PATH. Without
--model, one is fitted on generated invoices.
"""

from __future__ import annotations

import argparse
import json
import os
import platform as computer
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "files" / "model"
TICK = os.sysconf("SC_CLK_TCK")
PORT = 18100
USERS = 500

FIT = """
import sys
from pathlib import Path
import pyarrow as pa
from metalworks_model.data import generate, ingest, prepare, sources
from metalworks_model.train import ease, fit
tables = []
for day in generate.days(generate.World(), 200):
    lines, broken = sources.parse(day.csv(), str(day.day))
    tables.append(ingest.check(sources.Batch(day.day, lines, broken))[0])
lines = prepare.clean(pa.concat_tables(tables))
bought = prepare.purchases(lines)
fit.write(Path(sys.argv[1]), bought, ease.fit(bought, ease.Parameters()), fit.names_of(bought.items, lines))
"""


@dataclass
class Server:
    """A server: how it is started, when it is ready, and how it is asked."""

    name: str
    command: list[str]
    environment: dict[str, str]
    ready: str
    path: str
    body: str
    """With USER where the customer's name is."""


def servers(arguments: argparse.Namespace, folder: Path, model: Path) -> list[Server]:
    """Return the servers that are compared."""
    anchors = HERE / "anchors"
    registry = folder / "registry" / "recommender"
    shutil.copytree(model, registry / "versions" / "1")
    (registry / "aliases").mkdir()
    (registry / "aliases" / "champion").write_text("1")
    ours = {
        "METALWORKS_MODEL_REGISTRY_URL": f"file://{folder}/registry",
        "METALWORKS_MODEL_CACHE_DIR": str(folder / "cache"),
        "METALWORKS_MODEL_PORT": str(PORT),
        "METALWORKS_MODEL_HOST": "127.0.0.1",
        "METALWORKS_MODEL_LINGER": "0",
    }
    mlserver = folder / "mlserver"
    shutil.copytree(anchors / "mlserver", mlserver)
    (mlserver / "settings.json").write_text(
        json.dumps({"http_port": PORT, "host": "127.0.0.1", "grpc_port": PORT + 1, "metrics_port": PORT + 2,
                    "parallel_workers": 0, "debug": False})
    )  # fmt: skip
    (mlserver / "model-settings.json").write_text(
        json.dumps({"name": "recommender", "implementation": "runtime.Recommender"})
    )
    v2 = '{"inputs":[{"name":"user","datatype":"BYTES","shape":[1],"data":["USER"]}]}'
    path = "/v2/models/recommender/infer"
    found = [
        Server(
            "ours", [arguments.ours, "-m", "metalworks_model", "serve"], ours, "/v2/health/ready", path, v2
        )
    ]
    if arguments.mlserver:
        program = str(Path(arguments.mlserver).with_name("mlserver"))
        ready = "/v2/models/recommender/ready"
        found.append(Server("MLServer", [program, "start", str(mlserver)], {}, ready, path, v2))
    if arguments.bentoml:
        program = str(Path(arguments.bentoml).with_name("bentoml"))
        command = [program, "serve", "service:Recommender", "--working-dir", str(anchors / "bentoml"),
                   "--host", "127.0.0.1", "--port", str(PORT)]  # fmt: skip
        quiet = {"BENTOML_DO_NOT_TRACK": "1", "BENTOML_HOME": str(folder / "bentoml")}
        found.append(Server("BentoML", command, quiet, "/readyz", "/infer", '{"users":["USER"]}'))
    if arguments.mlflow:
        saved = folder / "mlflow"
        write = [arguments.mlflow, str(anchors / "mlflow" / "log_model.py"), str(saved)]
        subprocess.run(write, check=True, capture_output=True, env=environment({}, model))
        program = str(Path(arguments.mlflow).with_name("mlflow"))
        command = [program, "models", "serve", "-m", str(saved), "--env-manager", "local",
                   "--host", "127.0.0.1", "--port", str(PORT), "--workers", "1"]  # fmt: skip
        body = '{"inputs":{"user":["USER"]}}'
        # It executes `uvicorn`, which has to be the one of its own environment.
        where = {"PATH": f"{Path(program).parent}:{os.environ['PATH']}"}
        found.append(Server("mlflow models serve", command, where, "/ping", "/invocations", body))
    return found


def environment(more: dict[str, str], model: Path) -> dict[str, str]:
    """Return the environment of a server: one thread of linear algebra, and the model."""
    return os.environ | {
        "PYTHONPATH": str(PACKAGE),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "BENCHMARK_MODEL": str(model),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **more,
    }


def family(root: int) -> list[int]:
    """Return the ids of a process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, left = [], [root]
    while left:
        each = left.pop()
        found.append(each)
        left += parents.get(each, [])
    return found


def cpu(root: int) -> float:
    """Return the seconds of CPU that a process and all below it have used."""
    total = 0
    for each in family(root):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def memory(root: int) -> float:
    """Return the proportional set size of a process and all below it, in MiB."""
    total = 0
    for each in family(root):
        pss = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{each}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(pss[1]) if pss else 0
    return total / 1024


@contextmanager
def running(server: Server, model: Path, log: Path) -> Iterator[tuple[int, float]]:
    """Start a server on core 0, and yield its process and the seconds until it was ready."""
    began = time.perf_counter()
    with log.open("ab") as file:
        process = subprocess.Popen(
            ["taskset", "-c", "0", *server.command],
            env=environment(server.environment, model),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{server.ready}", timeout=5):
                    break
            except (OSError, urllib.error.URLError):
                if process.poll() is not None or time.perf_counter() > began + 300:
                    raise SystemExit(f"{server.name} does not start:\n{log.read_text()[-3000:]}") from None
                time.sleep(0.02)
        yield process.pid, time.perf_counter() - began
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # Children in the group may outlive it for a moment, and keep the port.
        time.sleep(1)


def ask(server: Server, user: str) -> tuple[list[str], list[float]]:
    """Return the items and scores of a server for a user."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{server.path}",
        server.body.replace("USER", user).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = json.load(answer)
    found = found.get("predictions", found)
    if "outputs" in found:
        by_name = {each["name"]: each["data"] for each in found["outputs"]}
        return by_name["item"], by_name["score"]
    return found["item"][0], found["score"][0]


def saturate(server: Server, users: list[str], seconds: int, folder: Path) -> dict[str, float]:
    """Return the rate and the errors that wrk saw with 16 connections."""
    script = folder / "load.lua"
    bodies = ",".join(f"'{server.body.replace('USER', user)}'" for user in users)
    script.write_text(
        f"local bodies = {{{bodies}}}\nlocal at = 0\n"
        "request = function()\n  at = at % #bodies + 1\n"
        f"  return wrk.format('POST', '{server.path}', "
        "{['Content-Type']='application/json'}, bodies[at])\nend\n"
    )
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "-s", str(script)]
    said = subprocess.run(
        [*command, f"http://127.0.0.1:{PORT}"], check=True, capture_output=True, text=True
    ).stdout
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0])
    total = int(re.findall(r"(\d+) requests in", said)[0])
    wrong = sum(int(each) for each in re.findall(r"Non-2xx or 3xx responses: (\d+)", said))
    broken = sum(int(each) for each in re.findall(r"(?:connect|read|write|timeout) (\d+)", said))
    return {"rate": rate, "requests": total, "errors": wrong + broken}


def steady(
    server: Server, bodies: Path, rate: float, seconds: int, connections: int = 16
) -> dict[str, float]:
    """Return what load.py measured at a fixed rate."""
    command = [
        "taskset",
        "-c",
        "1",
        sys.executable,
        str(HERE / "load.py"),
        str(PORT),
        server.path,
        str(bodies),
    ]
    command += [str(rate), str(seconds), str(connections)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def at_once(users: list[str], seconds: int, folder: Path, python: str) -> dict[str, float]:
    """Return the figures of a server that answers at once, with bytes that are ready.

    Its rate is what wrk can ask at most, and its p99 is what the computer and the sender take of every p99.
    """
    fixed = (
        "import asyncio, uvloop\n"
        "answer = b'HTTP/1.1 200 OK\\r\\nContent-Length: 700\\r\\n\\r\\n' + b'x' * 700\n"
        "class P(asyncio.Protocol):\n"
        "    def connection_made(self, t): self.t = t\n"
        "    def data_received(self, d): self.t.write(answer)\n"
        "async def main():\n"
        f"    s = await asyncio.get_running_loop().create_server(P, '127.0.0.1', {PORT})\n"
        "    await s.serve_forever()\n"
        "uvloop.run(main())\n"
    )
    body = '{"inputs":[{"name":"user","datatype":"BYTES","shape":[1],"data":["USER"]}]}'
    empty = Server("nothing", [python, "-c", fixed], {}, "/", "/", body)
    with running(empty, folder, folder / "nothing.log"):
        return saturate(empty, users, seconds, folder) | steady(empty, folder / "bodies", 200, seconds)


def measure(arguments: argparse.Namespace, folder: Path, model: Path) -> dict[str, Any]:
    """Return all figures of all rounds, by server."""
    names = np.load(model / "users.npy")
    chosen = np.random.default_rng(0).choice(names, min(USERS, len(names)), replace=False)
    users = [each.decode() for each in chosen.tolist()]
    all_servers = servers(arguments, folder, model)
    raw: dict[str, list[dict[str, float]]] = {each.name: [] for each in all_servers}
    expected: tuple[list[str], list[float]] | None = None
    floor: list[dict[str, float]] = []
    for number in range(arguments.rounds):
        for server in all_servers:
            bodies = folder / "bodies"
            bodies.write_text("\n".join(server.body.replace("USER", user) for user in users))
            with running(server, model, folder / f"{server.name}.log") as (process, start):
                answer = ask(server, users[0])
                expected = expected or answer
                if answer[0] != expected[0] or not np.allclose(answer[1], expected[1], atol=1e-6):
                    raise SystemExit(f"{server.name} gives other answers: {answer} and not {expected}")
                saturate(server, users, 1, folder)
                before = cpu(process)
                found = saturate(server, users, arguments.seconds, folder)
                found["cpu"] = (cpu(process) - before) / found["requests"] * 1e6
                found["memory"], found["start"] = memory(process), start
                slow = steady(server, bodies, 200, arguments.seconds)
                found |= {f"200/s {key}": value for key, value in slow.items()}
                raw[server.name].append(found)
                print(
                    number + 1,
                    server.name,
                    {key: round(value, 4) for key, value in found.items()},
                    flush=True,
                )
        floor.append(at_once(users, arguments.seconds, folder, arguments.ours))
        print(number + 1, "at once", floor[-1], flush=True)
    ours = all_servers[0]
    rate = 2 * statistics.median(each["rate"] for each in raw["ours"])
    bodies.write_text("\n".join(ours.body.replace("USER", user) for user in users))
    overload = []
    for _ in range(arguments.rounds):
        with running(ours, model, folder / "ours.log"):
            overload.append(steady(ours, bodies, rate, arguments.seconds, 128))
            print("overload", overload[-1], flush=True)
    return {"servers": raw, "overload": overload, "overload rate": rate, "at once": floor}


def report(raw: dict[str, Any], arguments: argparse.Namespace) -> str:
    """Return the result as a page."""
    measured = raw["servers"]

    def middle(name: str, key: str) -> float:
        return statistics.median(each[key] for each in measured[name])

    def spread(name: str, key: str, scale: float = 1, digits: int = 0) -> str:
        values = sorted(each[key] * scale for each in measured[name])
        return f"{statistics.median(values):.{digits}f} ({values[0]:.{digits}f} to {values[-1]:.{digits}f})"

    lines = [
        "# The model server beside others",
        "",
        f"`benchmarks/serving/run.py`, {datetime.now():%Y-%m-%d %H:%M}, {os.cpu_count()} cores "
        f"({computer.machine()}), load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds in turn of "
        f"{arguments.seconds} s. Server on core 0, load on core 1. Medians, smallest and largest in "
        "brackets. The answers were compared and are the same. CPU is what the server's processes used for "
        "one request; it depends less on what else the computer does than a rate.",
        "",
        "| server | saturated, requests/s | CPU, µs each | errors | p99 at 200/s, ms | PSS, MiB | start, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in measured:
        errors = sum(each["errors"] for each in measured[name])
        cells = [name, spread(name, "rate"), spread(name, "cpu"), f"{errors:.0f}"]
        cells += [spread(name, "200/s p99", 1000, 1), spread(name, "memory"), spread(name, "start", 1, 1)]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| ours to | requests/s | CPU | p99 at 200/s | memory | start |",
        "|---|---|---|---|---|---|",
    ]
    for name in list(measured)[1:]:
        ratios = [
            middle("ours", key) / middle(name, key) for key in ("rate", "cpu", "200/s p99", "memory", "start")
        ]
        lines.append(f"| {name} | {' | '.join(f'{each:.2f} x' for each in ratios)} |")
    within = [each["within 100 ms"] for each in raw["overload"]]
    ok = statistics.median(each["ok"] / each["planned"] for each in raw["overload"])
    lag = max(each["largest lag of the sender"] for each in raw["overload"])
    rate, floor = (statistics.median(each[key] for each in raw["at once"]) for key in ("rate", "p99"))
    best = min(list(measured)[1:], key=lambda name: middle(name, "200/s p99"), default="ours")
    ours, theirs = middle("ours", "200/s p99"), middle(best, "200/s p99")
    lines += [
        "",
        f"**Overload**: at {raw['overload rate']:.0f} requests/s, twice saturation, over 128 connections, "
        f"{statistics.median(within):.2%} ({min(within):.2%} to {max(within):.2%}) were answered with 200 or "
        f"429 within 100 ms; {ok:.0%} with 200. Broken or unanswered: "
        f"{sum(each['failed'] + each['unanswered'] for each in raw['overload']):.0f}. The sender's own "
        f"largest lag was {lag * 1000:.0f} ms.",
        "",
        "**The load generator**: of a server that answers at once, wrk asks "
        f"{rate:.0f} requests/s, and its p99 at 200/s is {floor * 1000:.1f} ms, which is a part of each p99 "
        f"above. Without it, ours is {(ours - floor) / (theirs - floor):.2f} x that of {best}.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ours", default=sys.executable)
    for name in ("mlserver", "bentoml", "mlflow"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.model
        if not model:
            model = folder / "model"
            fit = [arguments.ours, "-c", FIT, str(model)]
            subprocess.run(fit, check=True, env=environment({}, model))
        raw = measure(arguments, folder, model.resolve())
    (HERE / "raw.json").write_text(json.dumps(raw, indent=1) + "\n")
    page = report(raw, arguments)
    (HERE / "result.md").write_text(page)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
