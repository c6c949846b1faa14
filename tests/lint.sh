#!/usr/bin/env bash
# No warning is tolerated. Each tool's settings stand in its own file (.ansible-lint, .yamllint, pyproject.toml).
# The tools run side by side. What one of them said is printed as a whole, after it has ended.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
# A background process of a script does not get Ctrl-C.
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
commands=() processes=() failed=()
begin() {
  "$@" >"$said/${#commands[@]}" 2>&1 &
  processes+=($!)
  commands+=("$*")
}

begin ruff check
begin ruff format --check
begin yamllint --strict .
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
if command -v shellcheck >/dev/null; then
  begin shellcheck "${scripts[@]}"
else
  begin echo "shellcheck is not installed (apt-get install shellcheck): shell scripts were not checked"
fi
begin mypy
begin ansible-lint --offline

for number in "${!commands[@]}"; do
  wait "${processes[number]}" || failed+=("${commands[number]%% *}")
  echo "== ${commands[number]}"
  cat "$said/$number"
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "Failed: ${failed[*]}"
  exit 1
fi
echo "No warnings"
