#!/usr/bin/env bash
# Make .venv from requirements.txt, once: two runs at once wait for each other, a killed one is begun again.
set -euo pipefail
seconds=0
cd "$(dirname "$0")/.."
PATH=${PATH//$PWD\/.venv\/bin:/} # not the environment's own Python: it is about to go
python=${PYTHON:-python3}
exec 9>.venv.lock
! command -v flock >/dev/null || flock 9 # macOS has none
# The file holds what is installed. make compares times only, and a checkout renews them.
cmp -s requirements.txt .venv/.ready && touch .venv/.ready && exit 0
echo "Making the Python environment (.venv) from requirements.txt"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is "
  + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.11.")'
rm -rf .venv
"$python" -m venv .venv || { echo "The venv module is missing: apt-get install python3-venv"; exit 1; }
log=.venv/install.log
.venv/bin/pip install --disable-pip-version-check --require-hashes --requirement requirements.txt >"$log" 2>&1 9>&- &
pip=$!
trap 'kill "$pip" 2>/dev/null || true' EXIT
while sleep 1 && kill -0 "$pip" 2>/dev/null; do
  ((++seconds % 10)) || echo "  $seconds s: $(grep -q '^Installing ' "$log" && echo "installing $(grep -c '^Collecting ' "$log") packages" ||
    echo "$(grep -c '^Collecting ' "$log" || true) packages downloaded")"
done
wait "$pip" || { tail -n 20 "$log" && exit 1; }
cp requirements.txt .venv/.ready
