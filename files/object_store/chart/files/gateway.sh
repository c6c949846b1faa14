#!/bin/sh
# Starts the gateway: gateway.sh COMMAND...
# While versitygw puts the parts of an upload together, it calls their folder <upload>.<etag>.inprogress. Whoever asks for the same once
# more is answered 200, because another call is taken to be at work (1.8.0, backend/posix/posix.go, CompleteMultipartUploadWithCopy).
# A gateway that was killed leaves that name behind, and the client's retry would be told of an object that is never made. So each
# folder gets its own name back before the gateway answers. This runs at each start of the container, also after the OOM killer.
# Only a gateway that is alone (ALONE=true) knows that nobody is at work in these folders.
set -eu
DATA=${DATA:-/data}

if [ "${ALONE:-}" = true ]; then
  for folder in "$DATA"/buckets/*/.sgwtmp/multipart/*/*.inprogress; do
    name=${folder##*/}
    upload=${folder%/*}/${name%%.*}
    # Without a match the pattern itself is the only word. A folder of that name would take the other one into itself.
    if [ -d "$folder" ] && [ ! -e "$upload" ]; then mv "$folder" "$upload"; fi
  done
fi
exec "$@"
