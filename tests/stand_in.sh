#!/usr/bin/env bash
# The k3s stand-in's own tests, with the toolchain and the caches that built it.
set -euo pipefail
cd "$(dirname "$0")/.."
go=$(python lab/build.py --path go)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/metalworks/go
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false -trimpath"
export GOCACHE=$cache/build GOMODCACHE=$cache/mod
cd lab/k3s
unformatted=$("$(dirname "$go")/gofmt" -l .)
[ -z "$unformatted" ] || { echo "gofmt these: $unformatted"; exit 1; }
"$go" vet ./internal/...
"$go" test ./internal/...
