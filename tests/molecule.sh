#!/usr/bin/env bash
# Run Molecule scenarios one after the other (they share a network) and say which failed, with the time each took.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
logs=test-output/molecule
mkdir -p "$logs"
passed=0 failed=()
for scenario in "$@"; do
  began=$SECONDS
  if molecule test --scenario-name "$scenario" >"$logs/$scenario.log" 2>&1; then
    passed=$((passed + 1)) verdict=ok
  else
    failed+=("$scenario") verdict=FAILED
    tail -n 80 "$logs/$scenario.log"
  fi
  printf '%-20s %-7s %4d s\n' "$scenario" "$verdict" "$((SECONDS - began))"
done
echo "$passed passed, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ] || { echo "Failed: ${failed[*]} (whole logs: $logs/)"; exit 1; }
