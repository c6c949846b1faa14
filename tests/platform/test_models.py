"""The models behind the cluster's API: what serves, and what is trained."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from ansible.module_utils.metalworks.kubernetes.forward import forwarded

from kubernetes import client

pytestmark = pytest.mark.parts("model")


def test_each_model_answers_with_the_version_on_record(cluster: Any, platform: dict[str, Any]) -> None:
    namespace = platform["model_namespace"]
    assert platform["model_versions"]
    for name, version in platform["model_versions"].items():
        with forwarded(cluster, namespace, f"app.kubernetes.io/name={name}", 8080) as address:
            answer = requests.get(f"http://{address}/v2/models/{name}/ready", timeout=30)
        assert answer.json()["version"] == version


def test_what_is_trained_here_is_trained_every_day(api: Any, platform: dict[str, Any]) -> None:
    jobs = client.BatchV1Api(api).list_namespaced_cron_job(platform["model_namespace"]).items
    assert {"ingest-invoices", "recommender-train"} <= {each.metadata.name for each in jobs}
    assert not [each.metadata.name for each in jobs if each.spec.suspend]
