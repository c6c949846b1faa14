"""A deployment that does not serve is taken back by itself, and says why. Its steps are stand-ins here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.modules import ROOT
from tests.support.playbooks import Outcome

TASKS = ROOT / "roles" / "model" / "tasks"
COMMAND = ("ansible-playbook", "--inventory", "localhost,", "--connection", "local")
IMAGE = f"registry.example:5000/metalworks/model:1.0.0-abc@sha256:{'0' * 64}"
STANDINS = {
    "roles/model/tasks/base.yml": """
- {name: Have the image in Docker, fail: {msg: the registry cannot be reached}, when: broken == 'base'}
""",
    "roles/model/tasks/main.yml": """
- set_fact: {helm_release_result: {revision: "{{ found }}"}}
- debug: {msg: "DEPLOYED {{ container_images_references | to_json }}"}
- {name: Wait for the servers, fail: {msg: the pods do not start}, when: broken == 'main'}
""",
    "roles/model/tasks/verify.yml": """
- debug: {msg: ASKED}
- name: Ask
  fail: {msg: a replica does not answer}
  when: broken == 'verify' and helm_release_rolled_back is undefined
""",
    "roles/helm_release/tasks/roll_back.yml": """
- debug: {msg: "WENT BACK {{ helm_release_name }}, {{ helm_release_namespace }}, {{ helm_release_revision }}"}
  changed_when: changes
  register: helm_release_rolled_back
""",
    "library/k8s_rollout.py": """
from ansible.module_utils.basic import AnsibleModule
texts = {"kubeconfig": {}, "context": {}, "namespace": {}}
AnsibleModule({**texts, "workloads": {"type": "list"}, "timeout": {"type": "int"}}).exit_json(changed=False)
""",
    "play.yml": """
- hosts: localhost
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    metalworks_kubeconfig: k
    metalworks_context: c
    model_namespace: model
    model_rollout_timeout_seconds: 1
    __model_chart: {}
    __model_deployments: [deployment/recommender]
  tasks:
    - import_role: {name: model, tasks_from: deploy}
""",
    "ansible.cfg": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with the real order of a deployment, and stand-ins for its steps."""
    for name, text in STANDINS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("deploy.yml", "take_back.yml"):
        shutil.copy(TASKS / name, tmp_path / "roles/model/tasks" / name)
    return tmp_path


def deploy(folder: Path, **given: Any) -> Outcome:
    """Deploy; by default all goes well, and revision 3 was there before."""
    known = {"model_image": IMAGE, "broken": "", "found": 3, "changes": True}
    done = subprocess.run(
        [*COMMAND, "--extra-vars", json.dumps({**known, **given}), "play.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


def test_the_image_is_deployed_and_every_replica_is_asked(folder: Path) -> None:
    done = deploy(folder).check()
    assert IMAGE in done.said
    assert "ASKED" in done.said
    assert "WENT BACK" not in done.said


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("main", "Wait for the servers: the pods do not start"),
        ("verify", "Ask: a replica does not answer"),
    ],
)
def test_what_does_not_serve_is_taken_back(folder: Path, broken: str, why: str) -> None:
    done = deploy(folder, broken=broken)
    assert done.code != 0
    assert "WENT BACK model, model, 3" in done.said
    last = done.said.partition("Explain what runs now")[2]
    assert f"{IMAGE} does not serve. Revision 3 of the release was brought back" in last
    assert why in last


def test_what_fails_before_the_release_says_that_nothing_was_deployed(folder: Path) -> None:
    done = deploy(folder, broken="base")
    assert done.code != 0
    assert "Nothing was deployed, and the servers are as they were. Have the image in Docker" in done.said
    assert "the registry cannot be reached" in done.said
    assert "WENT BACK" not in done.said


def test_a_release_that_did_not_change_is_said_to_be_as_it_was(folder: Path) -> None:
    done = deploy(folder, broken="main", changes=False)
    assert done.code != 0
    assert "there was nothing to take back" in done.said


def test_a_first_deployment_has_nothing_to_go_back_to(folder: Path) -> None:
    done = deploy(folder, broken="main", found=0)
    assert done.code != 0
    assert "nothing was deployed before that one could go back to" in done.said
    assert "WENT BACK" not in done.said


@pytest.mark.parametrize("image", ["", "registry.example/model:1"])
def test_an_image_without_its_digest_is_refused(folder: Path, image: str) -> None:
    done = deploy(folder, model_image=image)
    assert done.code != 0
    assert f"model_image is {image or 'empty'}. Write the image's name with its digest" in done.said
    assert "DEPLOYED" not in done.said
