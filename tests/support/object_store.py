"""The store of the scenario, as its programs and users reach it: with the keys that they find."""

from __future__ import annotations

import base64
import configparser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from ansible.module_utils.metalworks.object_store.s3 import make_client
from tests.support.playbooks import Outcome, play
from tests.support.scenario import CONTEXT, INVENTORIES, KUBECONFIG
from tests.support.waiting import wait_for

from kubernetes import client

NAMESPACE, SELECTOR = "object-store", "app.kubernetes.io/name=object-store"
SCENARIO = Path(__file__).resolve().parents[2] / "molecule" / "object_store"
GRACE = "grace-hopper---be5b89a3"

# A user or a program -> where its key lies, as (namespace, Secret).
PLACES = {
    "ada": ("people", "object-store-ada"),
    "grace": ("people", f"object-store-{GRACE}"),
    "mlflow": ("programs", "object-store"),
    "models": (NAMESPACE, "object-store-models"),
}
BUCKETS = {"ada": "user-ada", "grace": f"user-{GRACE}", "mlflow": "mlflow", "models": "models"}


class Store:
    """Opens ports of the store's pods, and S3 clients on them."""

    def __init__(self, core: client.CoreV1Api) -> None:
        """Open nothing yet."""
        self.core = core
        self.api = KubernetesApi(str(KUBECONFIG), CONTEXT)
        self._open = ExitStack()
        self._addresses: dict[int, str] = {}

    def address(self, port: int = 7070) -> str:
        """A port of the pod that is Ready now, on this computer."""
        if port not in self._addresses:
            self.wait_until_ready()
            self._addresses[port] = self._open.enter_context(forwarded(self.api, NAMESPACE, SELECTOR, port))
        return self._addresses[port]

    def forget(self) -> None:
        """Close all ports, because the pods are others now."""
        self._open.close()
        self._addresses.clear()

    def pods(self) -> list[Any]:
        return list(self.core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items)

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            states = [
                each.status.container_statuses or []
                for each in self.pods()
                if not each.metadata.deletion_timestamp
            ]
            return any(len(each) == 3 and all(one.ready for one in each) for each in states)

        wait_for(ready, "no pod of the store is ready", 180)

    def answers(self) -> bool:
        """Whether the store answers, on a port that is opened anew; the cluster's API may be away, too."""
        self.forget()
        try:
            self.client("ada").list_objects_v2(Bucket=BUCKETS["ada"], MaxKeys=1)
        except Exception:
            return False
        return True

    def secret(self, who: str) -> dict[str, str]:
        """The Secret that a user or a program finds."""
        namespace, name = PLACES[who]
        data = self.core.read_namespaced_secret(name, namespace).data
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def key(self, who: str) -> tuple[str, str]:
        """The access key and the secret key in it."""
        found = self.secret(who)
        if "credentials" in found:
            parser = configparser.ConfigParser()
            parser.read_string(found["credentials"])
            section = parser["default"]
            return section["aws_access_key_id"], section["aws_secret_access_key"]
        return found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]

    def credential(self, who: str) -> dict[str, str]:
        """The same key in the form of object_store_credentials."""
        return dict(zip(("access_key", "secret_key"), self.key(who), strict=True))

    def converge(self, **variables: Any) -> Outcome:
        """Run the scenario's converge.yml with other values and the images that run; it may fail."""
        given = {"container_images_references": images_of_the_store(self.core), **variables}
        return play(SCENARIO / "converge.yml", INVENTORIES / "cluster.yml", **given)

    def client(self, who: str) -> Any:
        return make_client(f"http://{self.address()}", *self.key(who), "us-east-1", near=True)


def images_of_the_store(core: client.CoreV1Api) -> dict[str, str]:
    """Return the images that run, in the form of container_images_references."""
    pods = core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
    images = {each.name: each.image for each in pods[0].spec.containers}
    return {"object-store": images["gateway"], "object-store-front": images["front"]}
