"""What cloud-init would skip in silence is said before a machine boots with it."""

from __future__ import annotations

import pytest
from ansible.module_utils.metalworks.multipass.cloud_config import problem


@pytest.mark.parametrize(
    "text",
    [
        "#cloud-config\n",
        "#cloud-config\npackages: [curl]\nusers: [default]\n",
        "#cloud-config\n{apt: {}, ca-certs: {}, power_state: {mode: reboot}}\n",
    ],
)
def test_good_user_data(text: str) -> None:
    assert problem(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("packages: [curl]\n", "begin with the line #cloud-config"),
        ("#cloud-config\npackages: [curl\n", "is no YAML: "),
        ("#cloud-config\n- curl\n", "is no mapping: "),
        (
            "#cloud-config\npackage: [curl]\n",
            "has the key package, which cloud-init does not know; did you mean packages?",
        ),
        ("#cloud-config\nflavour: mint\n", "has the key flavour, which cloud-init does not know"),
        ("#cloud-config\nrun_cmd: []\nwrite-files: []\n", "did you mean runcmd?; has the key write-files"),
    ],
)
def test_bad_user_data(text: str, says: str) -> None:
    assert says in (problem(text) or "")
