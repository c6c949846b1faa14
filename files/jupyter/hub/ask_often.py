"""Ask every half second whether a server is up.

The hub's own pause grows to five seconds, so that a server that answers after three is noticed after
five. It asks one pod, at its start only.
"""

from jupyterhub.utils import exponential_backoff

START_WAIT, SCALE_FACTOR, MAX_WAIT = 0.1, 1.5, 0.5
exponential_backoff.__defaults__ = (START_WAIT, SCALE_FACTOR, MAX_WAIT, *exponential_backoff.__defaults__[3:])
