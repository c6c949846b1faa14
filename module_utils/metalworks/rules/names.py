"""Names of objects of Kubernetes that the inputs of several parts give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..common.kubernetes_names import label_problem, subdomain_problem
from .platform import Platform


def unusable_names(platform: Platform, examples: Mapping[str, str], storage_class: str) -> Iterator[str]:
    """Yield what is wrong with the names in these inputs, each of which has an example, and with a class.

    `storage_class` is the input that names it; empty means the cluster's default.
    """
    for name, example in examples.items():
        if problem := label_problem(platform.values[name], example):
            yield f"{name}: {problem}"
    given = platform.values[storage_class]
    if given and (problem := subdomain_problem(given, "local-path")):
        yield f"{storage_class}: {problem}"
