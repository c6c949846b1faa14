"""The door: the pages of the platform behind the hub's login.

Each page is a service of JupyterHub, reached at the hub's own address under /services/<name>/. The door asks
the hub who a visitor is and what the visitor may open, and passes the request on to the page's back end.
"""
