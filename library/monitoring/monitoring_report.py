#!/usr/bin/python
"""Draw the dashboards to one page."""

from __future__ import annotations

DOCUMENTATION = r"""
module: monitoring_report
short_description: The dashboards of the platform, drawn to one page
description:
  - Asks Prometheus in the cluster for what the dashboards of the parts show, and writes one page of HTML with
    everything in it.
author: Metalworks
extends_documentation_fragment: [kubernetes_api]
options:
  namespace:
    description: The namespace of Prometheus.
    type: str
    required: true
  boards:
    description:
      - The dashboards that are drawn, by name (filter monitoring_boards). Ansible packs a module without
        other files, so that it cannot read theirs.
    type: dict
    required: true
  title:
    description: The title of the page.
    type: str
    required: true
  hours:
    description: How far back it looks.
    type: int
    default: 6
  dest:
    description: The file that is written.
    type: path
    required: true
  picture:
    description: A file that is written with a picture (PNG) of the page, if the computer has a Chromium.
    type: path
attributes:
  check_mode:
    description: Asks, and writes nothing.
    support: full
  diff_mode:
    description: A page of measurements differs each time, and is not compared.
    support: none
"""

EXAMPLES = r"""
- name: Draw the report
  monitoring_report:
    namespace: monitoring
    boards: "{{ ['monitoring', 'jupyterhub'] | monitoring_boards }}"
    title: Our platform
    dest: report.html
"""

RETURN = r"""
panels:
  description: How many panels were drawn.
  type: int
  returned: success
empty:
  description: The panels without data that should have some, as board and title.
  type: list
  elements: str
  returned: success
picture:
  description: The file with the picture, or nothing where none was drawn.
  type: str
  returned: success
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.monitoring.picture import browser, draw
from ansible.module_utils.metalworks.monitoring.prometheus import Prometheus
from ansible.module_utils.metalworks.monitoring.report import alive, page

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}


def pictured(module: AnsibleModule, page: Path, picture: str | None) -> str:
    """Draw the page where a picture is wanted, and return its path; a warning says why there is none."""
    if not picture:
        return ""
    program = browser()
    if not program:
        module.warn("No picture is drawn: apt-get install chromium, or set CHROMIUM to the path of one.")
        return ""
    try:
        draw(page, Path(picture), program)
    except Exception as error:  # Playwright's own, and what its program says
        module.warn(f"No picture is drawn: {program}: {str(error).splitlines()[0]}")
        return ""
    return picture


def main() -> None:
    """Ask Prometheus, and write the page."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params, now = module.params, time.time()
    boards, start = params["boards"], now - params["hours"] * 3600
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        with Prometheus.opened(api, params["namespace"]) as prometheus:
            drawn = [
                (board, [(panel, prometheus.lines(panel, start, now)) for panel in board["panels"]])
                for board in boards.values()
            ]
    except (ApiError, OSError) as error:
        module.fail_json(msg=f"Prometheus in the namespace {params['namespace']} cannot be asked: {error}")
    panels = [(board, panel, found) for board, members in drawn for panel, found in members]
    picture = ""
    if not module.check_mode:
        dest = Path(params["dest"])
        dest.write_text(page(params["title"], now, drawn))
        picture = pictured(module, dest, params["picture"])
    empty = [
        f"{board['title']}: {panel['title']}"
        for board, panel, found in panels
        if not alive(found, now) and not panel.get("may_be_empty")
    ]
    module.exit_json(changed=True, panels=len(panels), empty=empty, picture=picture)


if __name__ == "__main__":
    main()
