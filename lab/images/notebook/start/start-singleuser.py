#!/opt/conda/bin/python
"""Start the hub's single-user server."""

import os
import sys

os.execvp("jupyterhub-singleuser", ["jupyterhub-singleuser", *sys.argv[1:]])
