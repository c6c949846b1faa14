"""The programs of the model that use MLflow, each with a token of its own."""

from __future__ import annotations

TRAINER, WATCH, SERVER = "model-trainer", "model-watch", "model-server"
# Whether they decide what is in production: the trainer by the gate, the watch by a canary. The servers only
# read.
PROGRAMS = {TRAINER: True, WATCH: True, SERVER: False}
