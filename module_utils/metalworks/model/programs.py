"""The programs of the model that use MLflow, each with a token of its own."""

from __future__ import annotations

TRAINER, SERVER = "model-trainer", "model-server"
# Whether they decide what is in production. The servers only read.
PROGRAMS = {TRAINER: True, SERVER: False}
