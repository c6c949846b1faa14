"""Write objects whole, into any store that fsspec knows."""

from __future__ import annotations

import fsspec


def write(files: fsspec.AbstractFileSystem, path: str, content: bytes) -> None:
    """Write a whole object or none of it.

    An object store shows an object when it is complete, and has no folders: asking it to make one would need
    rights on the bucket. A folder of this computer needs both the folder and a rename.
    """
    protocols = (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)
    if "file" not in protocols:
        files.pipe_file(path, content)
        return
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.pipe_file(f"{path}.part", content)
    files.mv(f"{path}.part", path)
