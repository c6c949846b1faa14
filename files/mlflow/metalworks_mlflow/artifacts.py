"""Artifacts in S3 that pass through the server in pieces: neither its memory nor its disk has to hold a file.

MLflow's own S3 repository writes each file into the temporary folder first, in both directions.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from botocore.exceptions import ClientError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import StreamUploadMixin
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

PIECE = 8 * 2**20  # S3 wants 5 MiB at least in all parts but the last, and allows 10 000 parts
GROWTH = 1000  # after so many parts they are twice as large: 80 GiB fit in 2000, and 5 TiB in 9000
DOWNLOAD_PIECE = 2**20


class StreamedS3(S3ArtifactRepository, StreamUploadMixin):
    """MLflow's S3 repository, with uploads and downloads as streams."""

    async def log_artifact_from_async_stream(
        self, chunks: AsyncIterable[bytes], artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Store what a client sends. Where it stops in the middle, the store lists nothing of it."""
        bucket, key = self._place(artifact_file_name, artifact_path)
        upload = _Upload(self._get_s3_client(), bucket, key)
        try:
            held = bytearray()
            async for chunk in chunks:
                held += chunk
                while len(held) >= upload.wanted:
                    piece, held = bytes(held[: upload.wanted]), held[upload.wanted :]
                    await asyncio.to_thread(upload.add, piece)
            await asyncio.to_thread(upload.finish, bytes(held))
        except BaseException:
            await asyncio.shield(asyncio.to_thread(upload.abort))
            raise

    def log_artifact_from_stream(
        self, stream: BinaryIO, artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Store what a file gives."""

        async def pieces() -> AsyncIterator[bytes]:
            while piece := stream.read(DOWNLOAD_PIECE):
                yield piece

        asyncio.run(self.log_artifact_from_async_stream(pieces(), artifact_file_name, artifact_path))

    def open(self, path: str) -> tuple[int, Iterator[bytes]]:
        """Return the size of an artifact and its content in pieces. MlflowException if it is not there."""
        bucket, key = self._place(path, None)
        try:
            answer = self._get_s3_client().get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise MlflowException(f"No such artifact: {path}", RESOURCE_DOES_NOT_EXIST) from None
            raise
        return int(answer["ContentLength"]), answer["Body"].iter_chunks(DOWNLOAD_PIECE)

    def _place(self, path: str, folder: str | None) -> tuple[str, str]:
        bucket, root = self.parse_s3_compliant_uri(self.artifact_uri)
        return bucket, posixpath.join(root, folder or "", path)


class _Upload:
    """One object, sent in parts. An object that fits one part is sent at once."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        """Remember where; nothing is sent yet."""
        self.client, self.place = client, {"Bucket": bucket, "Key": key}
        self.id = ""
        self.parts: list[dict[str, Any]] = []

    @property
    def wanted(self) -> int:
        """Return the size of the next part in bytes."""
        return PIECE << (len(self.parts) // GROWTH)

    def add(self, piece: bytes) -> None:
        """Send one part."""
        if not self.id:
            self.id = self.client.create_multipart_upload(**self.place)["UploadId"]
        number = len(self.parts) + 1
        answer = self.client.upload_part(**self.place, UploadId=self.id, PartNumber=number, Body=piece)
        self.parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def finish(self, rest: bytes) -> None:
        """Send the rest, after which the object is there as a whole."""
        if not self.id:
            self.client.put_object(**self.place, Body=rest)
            return
        if rest:
            self.add(rest)
        self.client.complete_multipart_upload(
            **self.place, UploadId=self.id, MultipartUpload={"Parts": self.parts}
        )

    def abort(self) -> None:
        """Let the store forget the parts. Where it does not answer, its own clean-up takes them."""
        if self.id:
            with suppress(Exception):
                self.client.abort_multipart_upload(**self.place, UploadId=self.id)
