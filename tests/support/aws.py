"""Plays AWS for a test: moto's server, whose machines print ssh keys to their consoles as Ubuntu's do.

`python -m tests.support.aws PORT` runs it until it is ended. Nothing outlives it, and no name of it is real.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from .servers import free_port, started

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-central-1"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMadeUpMadeUpMadeUpMadeUpMadeUpMadeUpMadeUpM"
# What cloud-init prints (tools/write-ssh-key-fingerprints), behind a kernel's first lines.
CONSOLE = f"""[    0.000000] Linux version 6.8.0-1021-aws (buildd@lcy02-amd64)
[   17.402117] cloud-init[1022]: Generating public/private ed25519 key pair.
ec2: -----BEGIN SSH HOST KEY FINGERPRINTS-----
ec2: 256 SHA256:madeupmadeupmadeupmadeupmadeupmadeupmadeupm root@metalworks-1 (ED25519)
ec2: -----END SSH HOST KEY FINGERPRINTS-----
-----BEGIN SSH HOST KEY KEYS-----
ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYMadeUp root@metalworks-1
{HOST_KEY} root@metalworks-1
-----END SSH HOST KEY KEYS-----
[   18.114302] cloud-init[1050]: Cloud-init finished
"""


def environment(endpoint: str) -> dict[str, str]:
    """Return the variables by which boto3, and so Ansible, finds the played AWS and nothing else."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "played",
        "AWS_SECRET_ACCESS_KEY": "played",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def ec2(endpoint: str) -> Any:
    """Return a client of the played EC2."""
    return boto3.client(
        "ec2",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="played",
        aws_secret_access_key="played",
        # The first question makes moto read all it knows, which takes long on a busy computer.
        config=Config(read_timeout=300, retries={"total_max_attempts": 1}),
    )


def an_image(client: Any) -> str:
    """Return the id of an image that is there."""
    return str(client.describe_images()["Images"][0]["ImageId"])


@contextmanager
def played() -> Iterator[str]:
    """Run it, and yield its address."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tests.support.aws", str(port)]
    with started(command, f"{endpoint}/moto-api/", 120, cwd=ROOT):
        an_image(ec2(endpoint))  # so that it has read all it knows before Ansible asks
        yield endpoint


def main(port: int) -> None:
    """Serve until the process is ended."""
    import logging

    from moto.ec2.models.elastic_block_store import Volume
    from moto.ec2.responses import general
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    general.SAMPLE_CONSOLE_OUTPUT = CONSOLE
    make = Volume.__init__

    def make_as_aws(self: Volume, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        self.snapshot_id = self.snapshot_id or ""

    # AWS answers with an empty SnapshotId where moto leaves it out, which amazon.aws.ec2_vol_info does not
    # bear.
    Volume.__init__ = make_as_aws  # type: ignore[method-assign]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    run_simple("127.0.0.1", port, DomainDispatcherApplication(create_backend_app), threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
