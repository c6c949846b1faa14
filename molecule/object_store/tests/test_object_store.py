"""The store keeps what it was given: when a pod is killed, settings change, or the budget is used up.

Keys come and go with their users, and only who is meant to reaches a port.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import testinfra
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from ansible.module_utils.metalworks.object_store.s3 import make_client
from botocore.exceptions import BotoCoreError
from tests.support.object_store import BUCKETS, GRACE, NAMESPACE, SELECTOR, Store
from tests.support.pods import run_in_pod
from tests.support.scenario import CLUSTER_STATE, INVENTORIES, kubectl, run_pod
from tests.support.waiting import wait_for

from kubernetes import client

testinfra_hosts = ["ansible://k3s_server"]

ADA = BUCKETS["ada"]
MIB = 2**20
TAR = "tar --xattrs --xattrs-include='*' --numeric-owner"


def objects(s3: Any, bucket: str) -> dict[str, tuple[Any, ...]]:
    """Each object of a bucket, former versions as well, with all that S3 knows of it but its time."""
    found: dict[str, tuple[Any, ...]] = {}
    for version in s3.list_object_versions(Bucket=bucket).get("Versions", []):
        which = {"Bucket": bucket, "Key": version["Key"]}
        if version["VersionId"] != "null":
            which["VersionId"] = version["VersionId"]
        whole = s3.get_object(**which)
        tags = s3.get_object_tagging(**which)["TagSet"]
        found[f"{version['Key']} {version['VersionId']}"] = (
            whole["Body"].read(),
            whole["ETag"],
            whole["ContentType"],
            tuple(sorted(whole["Metadata"].items())),
            json.dumps(tags, sort_keys=True),
            version["IsLatest"],
        )
    return found


class Disk:
    """The machine on which the store's volume lies, and where on it."""

    def __init__(self, store: Store) -> None:
        claim = store.core.read_namespaced_persistent_volume_claim("object-store", NAMESPACE)
        volume = store.core.read_persistent_volume(claim.spec.volume_name)
        self.place = (volume.spec.host_path or volume.spec.local).path
        self.node = store.pods()[0].spec.node_name
        self._machine = testinfra.get_host(
            f"ansible://{self.node}", ansible_inventory=str(INVENTORIES / "cluster.yml")
        )

    def run(self, command: str) -> str:
        """What a command of root prints on the machine."""
        with self._machine.sudo():
            return str(self._machine.check_output(command))


@pytest.fixture
def disk(store: Store) -> Disk:
    store.wait_until_ready()
    return Disk(store)


class Slowly:
    """A body that needs minutes to be sent: something can happen in its middle."""

    def __init__(self, length: int) -> None:
        self.length, self.sent = length, 0

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        """A body of requests can be iterated; it is read instead."""
        return iter(())

    def read(self, size: int) -> bytes:
        part = b"h" * min(size, self.length - self.sent)
        self.sent += len(part)
        if self.sent > 5 * MIB:
            time.sleep(0.2)
        return part


# The pods.


def test_the_pod_has_no_rights_that_it_does_not_need(store: Store) -> None:
    store.wait_until_ready()
    spec = store.pods()[0].spec
    assert spec.automount_service_account_token is False
    assert (
        spec.security_context.run_as_non_root
        and spec.security_context.seccomp_profile.type == "RuntimeDefault"
    )
    for container in [*spec.containers, *spec.init_containers]:
        limits = container.security_context
        assert limits.read_only_root_filesystem and not limits.allow_privilege_escalation
        assert limits.capabilities.drop == ["ALL"]
        assert container.resources.requests and container.resources.limits["memory"]


def test_no_secret_is_in_a_log_or_in_the_environment_of_the_front(
    store: Store, core: client.CoreV1Api
) -> None:
    store.client("ada").put_object(Bucket=ADA, Key="logged", Body=b"x")
    secrets = [store.key(who)[1] for who in ("ada", "grace", "mlflow")]
    pod = store.pods()[0]
    for container in pod.spec.containers:
        log = core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, container=container.name)
        assert not [secret for secret in secrets if secret in log]
    names = {container.name: {each.name for each in container.env or []} for container in pod.spec.containers}
    assert "ROOT_SECRET_ACCESS_KEY" in names["gateway"]
    assert not [name for name in (*names["front"], *names["budget"]) if "SECRET" in name]


@pytest.mark.long
def test_a_killed_pod_leaves_nothing_half_and_keeps_all_that_is_whole(
    store: Store, core: client.CoreV1Api, refused: Callable[..., str]
) -> None:
    ada = store.client("ada")
    ada.put_object(Bucket=ADA, Key="kept", Body=b"k" * MIB, Metadata={"a": "b"})
    before = objects(ada, ADA)
    upload = ada.create_multipart_upload(Bucket=ADA, Key="parts")["UploadId"]
    part = ada.upload_part(Bucket=ADA, Key="parts", UploadId=upload, PartNumber=1, Body=b"p" * 5 * MIB)[
        "ETag"
    ]
    url = ada.generate_presigned_url("put_object", Params={"Bucket": ADA, "Key": "half"}, ExpiresIn=600)
    body = Slowly(24 * MIB)

    def put() -> int:
        with contextlib.suppress(requests.exceptions.RequestException):
            return requests.put(url, data=body, timeout=60).status_code
        return 0

    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(put)
        wait_for(lambda: body.sent > 4 * MIB, "the upload did not begin", 60)
        for pod in store.pods():
            core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
        assert sent.result() != 200
    assert body.sent < 24 * MIB, "the pod was not killed in the middle"
    store.forget()
    ada = store.client("ada")
    assert objects(ada, ADA) == before
    assert refused(ada.head_object, Bucket=ADA, Key="half") == "404"
    # The client tries again, and goes on with the parts that had arrived.
    ada.put_object(Bucket=ADA, Key="half", Body=b"h" * 8 * MIB)
    ada.complete_multipart_upload(
        Bucket=ADA, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}
    )
    assert {name: each[0][:1] for name, each in objects(ada, ADA).items()} == {
        "half null": b"h",
        "kept null": b"k",
        "parts null": b"p",
    }


@pytest.mark.long
def test_an_upload_is_whole_though_the_gateway_was_killed_while_it_put_the_parts_together(
    store: Store, disk: Disk
) -> None:
    ada = store.client("ada")
    upload = ada.create_multipart_upload(Bucket=ADA, Key="whole")["UploadId"]
    bodies = [bytes([number]) * 8 * MIB for number in range(10)]
    done = [
        {
            "PartNumber": number,
            "ETag": ada.upload_part(Bucket=ADA, Key="whole", UploadId=upload, PartNumber=number, Body=body)[
                "ETag"
            ],
        }
        for number, body in enumerate(bodies, 1)
    ]
    # The gateway is at it while the folder has this name. It runs in slices meanwhile: on a busy computer the
    # folder would come and go between two looks.
    at_work = f"{disk.place}/buckets/{ADA}/.sgwtmp/multipart/*/*.inprogress"
    disk.run("rm -f /run/looks")
    kill = (
        "touch /run/looks; pid=$(pgrep -x versitygw); trap 'kill -CONT $pid' EXIT; while kill -STOP $pid; do "
        f"compgen -G '{at_work}' && kill -KILL $pid && exit 0; kill -CONT $pid; sleep 0.002; done"
    )

    def complete() -> bool:
        with contextlib.suppress(ada.exceptions.ClientError, BotoCoreError):
            ada.complete_multipart_upload(
                Bucket=ADA, Key="whole", UploadId=upload, MultipartUpload={"Parts": done}
            )
            return True
        return False

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(disk.run, f"timeout 60 bash -c {shlex.quote(kill)}")
        wait_for(lambda: disk.run("ls /run/looks || true"), "the node does not look for the folder", 50)
        wait_for(complete, "the upload cannot be completed", 90)
        killed.result()
    # It was told that its object is there.
    assert ada.get_object(Bucket=ADA, Key="whole")["Body"].read() == b"".join(bodies)
    assert ada.list_multipart_uploads(Bucket=ADA).get("Uploads", []) == []


@pytest.mark.long
def test_all_that_was_answered_outlives_a_node_that_is_switched_off(store: Store, disk: Disk) -> None:
    ada = store.client("ada")
    answered: dict[str, str] = {}

    over = threading.Event()

    def write() -> None:
        with contextlib.suppress(ada.exceptions.ClientError, BotoCoreError):
            while not over.is_set():
                key = f"written/{len(answered)}"
                answered[key] = ada.put_object(Bucket=ADA, Key=key, Body=os.urandom(64 * 1024))["ETag"]

    machine = f"{CLUSTER_STATE.name}-{disk.node}"
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        wait_for(lambda: len(answered) > 20 or writing.done(), "nothing is written", 60)
        assert not writing.done()
        for verb in ("kill", "start"):
            subprocess.run(["docker", verb, machine], check=True, capture_output=True)
        over.set()
    wait_for(store.answers, "the store does not come back", 300)
    ada = store.client("ada")
    found = {each["Key"]: each["ETag"] for each in ada.list_objects_v2(Bucket=ADA)["Contents"]}
    # Of the last one the client got no answer: it may be there, and is whole then.
    assert {key: found.get(key) for key in answered} == answered and len(found) <= len(answered) + 1
    for key, etag in found.items():
        body = ada.get_object(Bucket=ADA, Key=key)["Body"].read()
        assert f'"{hashlib.md5(body).hexdigest()}"' == etag


def test_a_change_of_settings_keeps_all(store: Store) -> None:
    store.client("ada").put_object(Bucket=ADA, Key="kept", Body=b"k", Tagging="a=b", Metadata={"c": "d"})
    before, pods = objects(store.client("ada"), ADA), [pod.metadata.uid for pod in store.pods()]
    store.converge(object_store_sync_seconds=1, object_store_memory_limit="384Mi").check()
    store.forget()
    assert objects(store.client("ada"), ADA) == before
    assert [pod.metadata.uid for pod in store.pods()] != pods
    store.converge().check()
    store.forget()
    assert objects(store.client("ada"), ADA) == before


# The budget.


def used(store: Store) -> dict[str, int]:
    """The store's own measurements, as Prometheus reads them."""
    text = requests.get(f"http://{store.address(9101)}/budget", timeout=30).text
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {name.removeprefix("object_store_").removesuffix("_bytes"): int(value) for name, value in rows}


def test_the_store_measures_itself_and_its_requests(store: Store) -> None:
    store.client("ada").put_object(Bucket=ADA, Key="counted", Body=b"c" * 4 * MIB)
    found = wait_for(
        lambda: each if (each := used(store))["used"] > 4 * MIB else None, "nothing was measured", 60
    )
    assert found["budget"] == 192 * MIB and 0 < found["left"] <= 188 * MIB < found["disk_free"]
    text = requests.get(f"http://{store.address(9101)}/metrics", timeout=30).text
    assert 'haproxy_frontend_http_requests_total{proxy="s3"}' in text
    assert 'haproxy_server_total_time_average_seconds{proxy="gateway"' in text


def calls_it_a_deletion(request: Any, **_: Any) -> None:
    """Give a request the query of a deletion of several objects, before it is signed."""
    request.url += "?delete=1"


@pytest.mark.long
def test_a_full_store_refuses_clearly_and_damages_nothing(store: Store, refused: Callable[..., str]) -> None:
    ada = store.client("ada")
    ada.put_object(Bucket=ADA, Key="before", Body=b"b" * MIB, Metadata={"a": "b"})
    before = objects(ada, ADA)
    wait_for(lambda: used(store)["left"] > 150 * MIB, "there is no room to fill", 60)
    # What is larger than the room is refused before it is sent. A client that sends at once is told as well.
    assert refused(ada.put_object, Bucket=ADA, Key="huge", Body=b"h" * 200 * MIB) == "QuotaExceeded"
    url = ada.generate_presigned_url("put_object", Params={"Bucket": ADA, "Key": "huge"}, ExpiresIn=600)
    # The time is for all that is sent, and sent through the cluster's API.
    answer = requests.put(url, data=b"h" * 200 * MIB, timeout=300)
    assert answer.status_code == 403 and "<Code>QuotaExceeded</Code>" in answer.text
    upload = {"Bucket": ADA, "Key": "huge-parts"}
    upload["UploadId"] = ada.create_multipart_upload(**upload)["UploadId"]
    full = ""
    for number in range(40):
        try:
            ada.put_object(Bucket=ADA, Key=f"fill/{number}", Body=b"f" * 16 * MIB)
        except ada.exceptions.ClientError as error:
            full = f"{error.response['Error']['Code']} {error.response['Error']['Message']}"
            break
        time.sleep(2.5)  # the budget is looked at every 2 s
    assert full.startswith("QuotaExceeded The object store has no room for this: it holds 1")
    assert "of the 192 MiB that it may have" in full and "object_store_size" in full
    assert used(store)["used"] <= 192 * MIB
    # Who goes on with small objects comes to the end as well, in whatever way it is written.
    for _ in range(16):
        with contextlib.suppress(ada.exceptions.ClientError):
            ada.put_object(Bucket=ADA, Key=f"fill/s{_}", Body=b"f" * 2 * MIB)
    wait_for(lambda: used(store)["left"] < 2 * MIB, "the store is not full", 60)
    assert refused(ada.put_object, Bucket=ADA, Key="more", Body=b"m" * 2 * MIB) == "QuotaExceeded"
    assert refused(ada.upload_part, **upload, PartNumber=1, Body=b"m" * 5 * MIB) == "QuotaExceeded"
    # Whoever calls it a deletion writes all the same.
    ada.meta.events.register("before-sign.s3.PutObject", calls_it_a_deletion)
    assert refused(ada.put_object, Bucket=ADA, Key="more", Body=b"m" * 2 * MIB) == "QuotaExceeded"
    ada.meta.events.unregister("before-sign.s3.PutObject", calls_it_a_deletion)
    ada.abort_multipart_upload(**upload)
    # Reading goes on: what was there is as it was, and nothing that was refused is listed.
    found = objects(ada, ADA)
    assert {name: each for name, each in found.items() if name in before} == before
    assert not [name for name in found if name.startswith(("huge", "more"))]
    # Deleting goes on, one by one and many at once, and makes room.
    many = [{"Key": name.split()[0]} for name in found if name.startswith("fill/")]
    ada.delete_object(Bucket=ADA, Key=many[0]["Key"])
    assert ada.delete_objects(Bucket=ADA, Delete={"Objects": many}).get("Errors", []) == []
    wait_for(lambda: used(store)["left"] > 150 * MIB, "deleting made no room", 60)
    ada.put_object(Bucket=ADA, Key="after", Body=b"a" * 8 * MIB)


# Users.


def test_who_is_taken_out_loses_the_key_and_not_the_data(store: Store, core: client.CoreV1Api) -> None:
    name, secret = store.key("ada")
    store.client("ada").put_object(Bucket=ADA, Key="thesis", Body=b"chapter 1")
    pods = [pod.metadata.uid for pod in store.pods()]
    said = store.converge(object_store_users=["grace.hopper"]).check().output
    assert secret not in said
    ada = make_client(f"http://{store.address()}", name, secret, "us-east-1", near=True)
    began = time.monotonic()

    def is_refused() -> bool:
        try:
            ada.list_objects_v2(Bucket=ADA)
        except ada.exceptions.ClientError as error:
            return bool(error.response["Error"]["Code"] == "InvalidAccessKeyId")
        return False

    wait_for(is_refused, "the key of a user who was taken out is still taken", 60)
    print(f"refused {time.monotonic() - began:.1f} s after the run")
    with pytest.raises(client.ApiException, match="404"):
        core.read_namespaced_secret("object-store-ada", "people")
    grace = store.client("grace")
    grace.put_object(Bucket=BUCKETS["grace"], Key="works", Body=b"on")
    store.converge().check()
    assert store.key("ada")[1] != secret, "a key that may have leaked came back"
    assert store.client("ada").get_object(Bucket=ADA, Key="thesis")["Body"].read() == b"chapter 1"
    assert [pod.metadata.uid for pod in store.pods()] == pods, "a change of users restarted the store"


def test_another_inventory_does_not_take_the_store(store: Store) -> None:
    outcome = store.converge(
        object_store_root={"access_key": "root", "secret_key": "another-key-of-another-inventory"}
    )
    assert outcome.code != 0
    assert (
        "Nothing was changed: the object store in the namespace was made by another inventory" in outcome.said
    )
    assert "another-key" not in outcome.output
    assert outcome.changed_nothing


def test_a_store_that_fits_nowhere_is_refused(store: Store) -> None:
    outcome = store.converge(object_store_namespace="elsewhere", object_store_size="900Ti")
    assert outcome.code != 0
    assert "no node has room for the object store: it may take 900Ti" in outcome.said


# A store that somebody else runs: the one of the scenario, from outside.


def test_a_store_of_somebody_else_is_refused_for_each_reason_before_anything_changes(store: Store) -> None:
    keys = {
        BUCKETS[who]: dict(zip(("access_key", "secret_key"), store.key(who), strict=True)) for who in BUCKETS
    }
    secrets = [key["secret_key"] for key in keys.values()]
    keys["mlflow"]["secret_key"] = "another" * 6
    keys["models"]["access_key"] = "nobody"
    endpoint = f"http://{store.address()}"
    outcome = store.converge(
        object_store_endpoint=endpoint,
        object_store_credentials=keys,
        object_store_buckets={ADA: "mlflow", BUCKETS["grace"]: "not-there"},
    )
    assert outcome.code != 0 and outcome.changed_nothing and "Nothing was changed: " in outcome.said
    for reason in (
        f"the secret key of the access key mlflow is not the one that {endpoint} has",
        f"{endpoint} does not know the access key nobody",
        f"the access key {ADA} may not list the bucket mlflow: it is somebody else",
        f"{endpoint} has no bucket not-there: make it, or name another one",
    ):
        assert reason in outcome.said
    assert not [secret for secret in secrets if secret in outcome.output]


def test_a_store_of_somebody_else_that_is_unreachable_is_refused(store: Store) -> None:
    keys = {"mlflow": {"access_key": "mlflow", "secret_key": "x" * 40}}
    outcome = store.converge(object_store_endpoint="http://127.0.0.1:1", object_store_credentials=keys)
    assert outcome.code != 0 and outcome.changed_nothing
    assert "http://127.0.0.1:1 cannot be reached from this computer" in outcome.said


def test_a_store_of_somebody_else_is_used_and_nothing_is_installed(
    store: Store, core: client.CoreV1Api
) -> None:
    own = {who: store.key(who) for who in ("ada", "mlflow")}
    keys = {BUCKETS[who]: store.credential(who) for who in own}
    pods, endpoint = [pod.metadata.uid for pod in store.pods()], f"http://{store.address()}"
    foreign = {"object_store_endpoint": endpoint, "object_store_credentials": keys}
    elsewhere = {"object_store_namespace": "nowhere", **foreign}
    store.converge(**elsewhere).check()
    assert "nowhere" not in [each.metadata.name for each in core.list_namespace().items]
    assert {who: store.key(who) for who in own} == own
    assert f"endpoint_url = {endpoint}" in store.secret("ada")["config"]
    with pytest.raises(client.ApiException, match="404"):
        core.read_namespaced_secret(f"object-store-{GRACE}", "people")
    store.converge().check()
    assert [pod.metadata.uid for pod in store.pods()] == pods


# The network.


# (namespace, labels) of a pod -> the ports that it has to reach.
REACHED: dict[tuple[str, tuple[str, str]], set[int]] = {
    ("people", ("component", "singleuser-server")): {7070},
    ("people", ("component", "other")): set(),
    ("default", ("component", "singleuser-server")): set(),
    ("monitoring", ("app", "scraper")): {9101},
}
PORTS = (7070, 7071, 9101)


@pytest.fixture
def asking(core: client.CoreV1Api, store: Store) -> Iterator[None]:
    """A pod for each kind of REACHED, in the image of HAProxy, which has bash."""
    store.wait_until_ready()
    image = {each.name: each.image for each in store.pods()[0].spec.containers}["front"]
    for namespace, (label, value) in REACHED:
        with contextlib.suppress(client.ApiException):
            core.create_namespace({"metadata": {"name": namespace}})
        pod = {
            "metadata": {"name": f"asks-{value}", "labels": {label: value}},
            "spec": {
                "containers": [{"name": "sh", "image": image, "command": ["sleep", "3600"]}],
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
            },
        }
        wait_for(lambda pod=pod, namespace=namespace: made(core, pod, namespace), "no account for pods", 60)
    for namespace, (_, value) in REACHED:
        wait_for(
            lambda namespace=namespace, value=value: (
                core.read_namespaced_pod(f"asks-{value}", namespace).status.phase == "Running"
            ),
            f"the pod that asks in {namespace} does not run",
        )
    yield
    for namespace, (_, value) in REACHED:
        core.delete_namespaced_pod(f"asks-{value}", namespace, grace_period_seconds=0)


def made(core: client.CoreV1Api, pod: dict[str, Any], namespace: str) -> bool:
    """Make a pod, in place of an earlier one; a new namespace needs a moment."""
    with contextlib.suppress(client.ApiException):
        core.delete_namespaced_pod(pod["metadata"]["name"], namespace, grace_period_seconds=0)
    try:
        core.create_namespaced_pod(namespace, pod)
    except client.ApiException:
        return False
    return True


@pytest.mark.usefixtures("asking")
def test_who_reaches_which_port(core: client.CoreV1Api, store: Store) -> None:
    address = store.pods()[0].status.pod_ip
    one = f"(timeout 5 bash -c '</dev/tcp/{address}/'$port && echo $port)"
    command = f"for port in {' '.join(map(str, PORTS))}; do {one} 2>/dev/null & done; wait"

    def reached() -> dict[tuple[str, tuple[str, str]], set[int]]:
        found = {}
        for namespace, (label, value) in REACHED:
            said = run_in_pod(core, namespace, f"asks-{value}", "bash", "-c", command)
            found[namespace, (label, value)] = set(map(int, said.split()))
        return found

    # A policy needs a moment for a new pod.
    wait_for(lambda: reached() == REACHED, lambda: f"these ports are reached: {reached()}", 60)


# A copy.


@pytest.mark.long
def test_a_copy_restored_elsewhere_is_the_same(
    store: Store, core: client.CoreV1Api, host: Any, disk: Disk
) -> None:
    """The way of backups: folders are copied with their attributes, and another gateway reads the copy."""
    ada, models = store.client("ada"), store.client("models")
    ada.put_object(
        Bucket=ADA, Key="a/b", Body=b"x" * MIB, ContentType="text/csv", Metadata={"by": "ada"}, Tagging="k=v"
    )
    upload = ada.create_multipart_upload(Bucket=ADA, Key="parts", Metadata={"n": "1"})["UploadId"]
    part = ada.upload_part(Bucket=ADA, Key="parts", UploadId=upload, PartNumber=1, Body=b"p")["ETag"]
    ada.complete_multipart_upload(
        Bucket=ADA, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}
    )
    for body in (b"1", b"2"):
        models.put_object(Bucket="models", Key="m", Body=body, Metadata={"body": body.decode()})
    before = {ADA: objects(ada, ADA), "models": objects(models, "models")}
    assert len(before["models"]) >= 2 and len(before[ADA]) == 2

    copy = "/var/lib/rancher/copy"
    disk.run(f"rm -rf {copy} && mkdir -p {copy}")
    disk.run(
        f"{TAR} -C {disk.place} -cf - buckets versions | {TAR} -C {copy} -xpf - && chown 1000:1000 {copy}"
    )
    pod = kubectl(host, f"get pods --namespace {NAMESPACE} --selector {SELECTOR}")["items"][0]
    spec = {key: pod["spec"][key] for key in ("securityContext", "nodeName")}
    gateway = next(each for each in pod["spec"]["containers"] if each["name"] == "gateway")
    volumes = [each for each in pod["spec"]["volumes"] if each["name"] in ("users", "front")]
    volumes.append({"name": "data", "hostPath": {"path": copy}})
    restored = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "restored", "labels": {"app": "restored"}},
        "spec": {**spec, "containers": [gateway], "volumes": volumes, "terminationGracePeriodSeconds": 0},
    }
    run_pod(host, restored, NAMESPACE)

    def ready() -> bool:
        status = core.read_namespaced_pod("restored", NAMESPACE).status
        return all(each.ready for each in status.container_statuses)

    wait_for(ready, "the gateway on the copy is not ready", 60)
    with forwarded(store.api, NAMESPACE, "app=restored", 7071) as address:
        there = make_client(f"http://{address}", *store.key("ada"), "us-east-1", near=True)
        other = make_client(f"http://{address}", *store.key("models"), "us-east-1", near=True)
        assert {ADA: objects(there, ADA), "models": objects(other, "models")} == before
    core.delete_namespaced_pod("restored", NAMESPACE, grace_period_seconds=0)
