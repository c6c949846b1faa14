"""A release's objects as files that kubectl applies: ordered, each with its namespace, without secrets.

Secrets keep their names and keys. In place of each value stands what has to be filled in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ..common.scrub import scrub

# Kinds without a namespace, of those that Kubernetes has and charts make.
CLUSTER_WIDE = {
    "APIService",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CustomResourceDefinition",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
}
LOGIN = "kubernetes.io/dockerconfigjson"
LOGIN_KEY = ".dockerconfigjson"
# The API refuses a login that has another form.
LOGIN_TO_FILL_IN = json.dumps({"auths": {"registry.example": {"auth": "to-be-filled-in"}}})
SECRETS_HEADER = (
    "# Fill in the values before you apply this file, or make these Secrets in another way.\n"
    "# A Secret without keys is made elsewhere: its pods say which keys they read.\n"
)
HEADER = "# Written by `make manifests`; the next run replaces it.\n"


class Loader(yaml.CSafeLoader):
    """Reads what YAML 1.1 takes for the value key, `=`, as the text that it is in definitions of objects."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


class Dumper(yaml.CSafeDumper):
    """Writes texts of several lines as blocks, so that they can be read."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write what occurs twice twice: Kubernetes' readers do, and people."""
        return True


def _text(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Dumper.add_representer(str, _text)


def files(
    rendered: str,
    name: str,
    namespace: str,
    labels: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the texts of a release's files by their names, which sort in the order of applying.

    `rendered` is what `helm template` printed, in which objects stand in Helm's order of installing.
    `secrets` maps a name to a secret: where the chart writes one elsewhere than into a Secret, the name
    stands in its place.
    """
    objects = [each for each in yaml.load_all(rendered, Loader) if each and not _is_test(each)]
    own = [_placed(each, namespace) for each in objects]
    definitions = [each for each in own if each["kind"] == "CustomResourceDefinition"]
    kept = [each for each in own if each["kind"] == "Secret"]
    rest = [each for each in own if each["kind"] not in ("CustomResourceDefinition", "Secret", "Namespace")]
    to_fill_in = [without_values(each) for each in kept] + list(_named_only(rest, kept, namespace))
    whole = {
        "0-namespace.yaml": (HEADER, [_namespace(namespace, labels or {})]),
        f"1-{name}-definitions.yaml": (HEADER, definitions),
        f"2-{name}-secrets.yaml": (HEADER + SECRETS_HEADER, to_fill_in),
        f"3-{name}.yaml": (HEADER, rest),
    }
    return {file: scrub(header + _dump(its), secrets or {}) for file, (header, its) in whole.items() if its}


def without_values(secret: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Secret whose values are words that say what has to be filled in."""
    keys = sorted({*(secret.get("data") or {}), *(secret.get("stringData") or {})})
    kept = {key: value for key, value in secret.items() if key not in ("data", "stringData")}
    return {**kept, "stringData": {key: _to_fill_in(secret["metadata"]["name"], key) for key in keys}}


def _to_fill_in(name: str, key: str) -> str:
    return LOGIN_TO_FILL_IN if key == LOGIN_KEY else f"to be filled in: {key} of {name}"


def _is_test(each: Mapping[str, Any]) -> bool:
    """Whether an object only tests the release (https://helm.sh/docs/topics/chart_tests/)."""
    annotations = each["metadata"].get("annotations") or {}
    return str(annotations.get("helm.sh/hook", "")).startswith("test")


def _placed(each: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Return an object with its namespace, which Helm would have named while it installs."""
    if each["kind"] in CLUSTER_WIDE or each["metadata"].get("namespace"):
        return each
    metadata = {"name": each["metadata"].get("name"), "namespace": namespace, **each["metadata"]}
    return {key: metadata if key == "metadata" else value for key, value in each.items()}


def _namespace(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": name, **({"labels": dict(labels)} if labels else {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _named_only(
    objects: list[dict[str, Any]], made: list[dict[str, Any]], namespace: str
) -> Iterator[dict[str, Any]]:
    """Yield a Secret to fill in for each one that the objects read and the chart does not make."""
    there = {each["metadata"]["name"] for each in made}
    found: dict[str, set[str]] = {}
    for each in objects:
        for name, key in _secrets_read(each):
            found.setdefault(name, set()).update({key} - {""})
    for name, keys in sorted(found.items()):
        if name not in there:
            kind = {"type": LOGIN} if keys == {LOGIN_KEY} else {"type": "Opaque"}
            yield {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
                **kind,
                "stringData": {key: _to_fill_in(name, key) for key in sorted(keys)},
            }


def _secrets_read(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and key of each Secret that must be there; the key is empty where all are read."""
    if isinstance(value, list):
        for each in value:
            if key == "imagePullSecrets" and isinstance(each, dict):
                yield each["name"], LOGIN_KEY
            elif key == "secrets" and isinstance(each, str):  # of Prometheus and Alertmanager
                yield each, ""
            else:
                yield from _secrets_read(each, key)
    elif isinstance(value, dict) and not value.get("optional"):
        if key in ("secretKeyRef", "credentials") and {"name", "key"} <= value.keys():
            yield value["name"], value["key"]
        elif key == "secretRef" and "name" in value:
            yield value["name"], ""
        elif key == "secret" and "secretName" in value:
            for item in value.get("items") or [{"key": ""}]:
                yield value["secretName"], item["key"]
        else:
            for name, each in value.items():
                yield from _secrets_read(each, name)


def _dump(objects: list[dict[str, Any]]) -> str:
    documents = (
        yaml.dump(each, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000) for each in objects
    )
    return "---\n" + "---\n".join(documents)
