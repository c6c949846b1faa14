#!/usr/bin/env bash
# No warning is tolerated. Each tool's settings stand in its own file (.ansible-lint, .yamllint, pyproject.toml).
set -uo pipefail
cd "$(dirname "$0")/.." || exit
failed=()
check() { echo "== $*"; "$@" || failed+=("$1"); }

check ruff check
check ruff format --check
check mypy
check yamllint --strict .
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
if command -v shellcheck >/dev/null; then
  check shellcheck "${scripts[@]}"
else
  echo "== shellcheck is not installed (apt-get install shellcheck): shell scripts were not checked"
fi
check ansible-lint --offline

if [ ${#failed[@]} -gt 0 ]; then
  echo "Failed: ${failed[*]}"
  exit 1
fi
echo "No warnings"
