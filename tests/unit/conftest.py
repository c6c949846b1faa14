"""Modules and what they share are imported as Ansible imports them, and run in this process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).resolve().parents[2]
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
# Each TLS context reads the computer's authorities, which takes longer than most tests: there are none here.
os.environ["SSL_CERT_FILE"] = os.devnull
sys.path.insert(0, str(ROOT))
