"""Take secrets out of texts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote


def scrub(text: str, secrets: Mapping[str, str]) -> str:
    """Return a program's output with each secret replaced by its name.

    A secret may appear as it is, in base64 (as Kubernetes shows Secrets), quoted for JSON or for a URL.
    """
    forms = {form: name for name, secret in secrets.items() if secret for form in spellings(str(secret))}
    # The longest come first, so that a secret that contains another one is replaced as a whole.
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, f"<{forms[form]}>")
    return text


def spellings(secret: str) -> Iterator[str]:
    """Yield the forms in which programs print a text: as it is, in base64, and quoted."""
    yield secret
    yield base64.b64encode(secret.encode()).decode()
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="")
