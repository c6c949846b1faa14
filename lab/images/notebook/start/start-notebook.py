#!/opt/conda/bin/python
"""Start a server of one's own, or the hub's single-user server where a hub started this container."""

import os
import sys

if os.environ.get("JUPYTERHUB_API_TOKEN"):
    command = ["start-singleuser.py"]
else:
    command = ["jupyter", os.environ.get("DOCKER_STACKS_JUPYTER_CMD", "lab"), "--ip=0.0.0.0"]
os.execvp(command[0], command + sys.argv[1:])
