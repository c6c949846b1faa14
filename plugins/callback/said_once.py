"""Ansible's own output, in which the message of a failed task stands once."""

from __future__ import annotations

DOCUMENTATION = r"""
name: said_once
type: stdout
short_description: Ansible's own output, in which the message of a failed task stands once
description:
  - Since version 2.19, Ansible prints the message of a failed task as an error, and then again with the
    result. Messages here are often long, since they name all problems at once. So only the result is printed.
  - An error of Ansible itself, such as a template that cannot be resolved, is printed as before, because only
    its first print says where it comes from.
author: Metalworks
extends_documentation_fragment: [default_callback, result_format_callback]
requirements: [set as stdout_callback in ansible.cfg]
"""

from typing import Any

from ansible.plugins.callback.default import CallbackModule as Default

# Messages of errors that Ansible itself found begin so (ansible.errors.AnsibleTaskError).
OWN_ERROR = "Task failed"


class CallbackModule(Default):
    """Take the error out of a result whose message says the same; then the callback prints no error."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "said_once"

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print a failed task."""
        _take_error_out(result.result)
        super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Print a failed item of a loop."""
        _take_error_out(result.result)
        super().v2_runner_item_on_failed(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Print a machine that does not answer. No line of a playbook is to blame."""
        result.result.pop("exception", None)
        super().v2_runner_on_unreachable(result)


def _take_error_out(result: dict[str, Any]) -> None:
    message = str(result.get("msg", ""))
    if message and not message.startswith(OWN_ERROR):
        result.pop("exception", None)
        # YAML prints a text of several lines as it is, and folds a single line, doubles its apostrophes and
        # quotes it.
        result["msg"] = message.rstrip() + "\n"
