"""When a Job is made of a CronJob, and what is said of one that fails."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from library.kubernetes import k8s_cron_job_run as module
from tests.support.cluster_api import kubeconfig
from tests.support.modules import cases, run_module
from tests.support.servers import Silent, running

JOBS = "/apis/batch/v1/namespaces/model/jobs"


def job(name: str, ended: str, owner: str = "c1") -> dict[str, Any]:
    conditions = [{"type": ended, "status": "True"}] if ended else []
    return {
        "metadata": {"name": name, "creationTimestamp": name, "ownerReferences": [{"uid": owner}]},
        "status": {"conditions": conditions},
    }


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    jobs = [job(name, ended) for name, ended in case["jobs"].items()]
    planned = module.plan(jobs, case["only_first"])
    assert (planned.running, planned.make) == (case.get("running", ""), case.get("make", False))


class Cluster(Silent):
    """Has the CronJob train. A Job that is made ends at the second look."""

    jobs: list[dict[str, Any]]
    made: list[dict[str, Any]]
    ends = "Complete"
    looks = 0

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.endswith("/cronjobs/train"):
            template = {"metadata": {"labels": {"a": "b"}}, "spec": {"backoffLimit": 1}}
            self.reply(200, {"metadata": {"name": "train", "uid": "c1"}, "spec": {"jobTemplate": template}})
        elif path == JOBS:
            self.reply(200, {"items": self.jobs})
        elif path.startswith(f"{JOBS}/"):
            type(self).looks += 1
            self.reply(200, job(path.rpartition("/")[2], self.ends if self.looks > 1 else ""))
        elif path.endswith("/pods"):
            phase = "Succeeded" if self.ends == "Complete" else "Failed"
            state = {
                "name": "train",
                "ready": False,
                "state": {"terminated": {"exitCode": 1, "reason": "Error"}},
            }
            status = {"phase": phase, "containerStatuses": [state]}
            self.reply(200, {"items": [{"metadata": {"name": "train-x"}, "spec": {}, "status": status}]})
        elif path.endswith("/log"):
            self.reply(200, "first\nlast", "text/plain")
        elif path.endswith("/events"):
            self.reply(200, {"items": []})
        else:
            self.reply(404, {"message": "not found"})

    def do_POST(self) -> None:
        self.made.append(self.sent())
        self.reply(201, {"metadata": {"name": "train-now-1"}})


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[type[Cluster], dict[str, Any]]]:
    handler = type("Bound", (Cluster,), {"jobs": [], "made": []})
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as address:
        path = kubeconfig(tmp_path, f"http://{address}", token="t")
        yield handler, {"kubeconfig": str(path), "context": "test", "namespace": "model", "name": "train"}


Given = tuple[type[Cluster], dict[str, Any]]


def test_a_job_is_made_of_the_template_and_its_log_returned(
    cluster: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    handler, params = cluster
    handler.jobs = [job("of-another", "", "c2")]
    assert run_module("k8s_cron_job_run", params, capsys, check=True)["changed"]
    assert handler.made == []
    done = run_module("k8s_cron_job_run", params, capsys)
    assert (done["changed"], done["job"], done["log"]) == (True, "train-now-1", ["first", "last"])
    (made,) = handler.made
    assert made["spec"] == {"backoffLimit": 1}
    assert made["metadata"]["labels"] == {"a": "b"}
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("c1", True)


def test_a_job_that_runs_is_waited_for(cluster: Given, capsys: pytest.CaptureFixture[str]) -> None:
    handler, params = cluster
    handler.jobs = [job("at-two", "")]
    done = run_module("k8s_cron_job_run", params, capsys)
    assert (done["changed"], done["job"], handler.made) == (False, "at-two", [])


def test_a_job_that_fails_is_explained(cluster: Given, capsys: pytest.CaptureFixture[str]) -> None:
    handler, params = cluster
    handler.ends = "Failed"
    said = run_module("k8s_cron_job_run", params, capsys)["msg"]
    assert "The Job train-now-1 failed" in said
    assert "container train ended with 1 (Error)" in said
    assert "last" in said


def test_a_job_that_takes_too_long_is_told(cluster: Given, capsys: pytest.CaptureFixture[str]) -> None:
    handler, params = cluster
    handler.looks = -1000
    said = run_module("k8s_cron_job_run", {**params, "timeout": 0}, capsys)["msg"]
    assert "has not ended after 0 s" in said


def test_a_cronjob_that_is_not_there_is_told(cluster: Given, capsys: pytest.CaptureFixture[str]) -> None:
    _, params = cluster
    params["name"] = "other"
    assert run_module("k8s_cron_job_run", params, capsys, check=True)["changed"]
    assert "there is no CronJob other" in run_module("k8s_cron_job_run", params, capsys)["msg"]
