"""The names that Kubernetes accepts: RFC 1123 labels (namespaces) and subdomains (nodes, most objects).

The rules are those of k8s.io/apimachinery/pkg/util/validation: IsDNS1123Label and IsDNS1123Subdomain.
"""

from __future__ import annotations

import re

# The domain of a cluster's Services and pods, unless whoever makes the cluster chooses another one.
USUAL_DOMAIN = "cluster.local"
LONGEST_LABEL = 63
LONGEST_SUBDOMAIN = 253
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_IS_LABEL = re.compile(rf"{_LABEL}\Z")
_IS_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*\Z")


def is_label(text: object) -> bool:
    """Tell whether a text is an RFC 1123 label: small letters, digits and `-`, at most 63 characters."""
    return isinstance(text, str) and len(text) <= LONGEST_LABEL and bool(_IS_LABEL.match(text))


def is_subdomain(text: object) -> bool:
    """Tell whether a text is an RFC 1123 subdomain: labels with `.` between, at most 253 characters."""
    return isinstance(text, str) and len(text) <= LONGEST_SUBDOMAIN and bool(_IS_SUBDOMAIN.match(text))


def label_problem(text: object, example: str = "team-1") -> str | None:
    """Return why a text is no RFC 1123 label, and what to write instead, or None."""
    if is_label(text):
        return None
    meant = as_label(text) or example
    return f"{text!r} is not small letters, digits and '-' (at most {LONGEST_LABEL}); write one like {meant}"


def subdomain_problem(text: object, example: str = "node-1") -> str | None:
    """Return why a text is no RFC 1123 subdomain, and what to write instead, or None."""
    if is_subdomain(text):
        return None
    meant = as_subdomain(text) or example
    return (
        f"{text!r} is not small letters, digits, '-' and '.' (at most {LONGEST_SUBDOMAIN}); "
        f"write one like {meant}"
    )


def as_label(text: object) -> str:
    """Return the label nearest to a text; it is empty where nothing of the text can stay."""
    return re.sub(r"[^a-z0-9]+", "-", str(text).lower())[:LONGEST_LABEL].strip("-")


def as_subdomain(text: object) -> str:
    """Return the subdomain nearest to a text; it is empty where nothing of the text can stay."""
    parts = re.sub(r"[^a-z0-9.]+", "-", str(text).lower())[:LONGEST_SUBDOMAIN].split(".")
    return ".".join(part.strip("-") for part in parts if part.strip("-"))
