#!/bin/bash
# Keeps the object store within its budget, and what was written on the disk.
#   budget.sh prepare  makes the folders of a new volume
#   budget.sh watch    measures, tells HAProxy what can still be written, and syncs; for ever
# Volumes of local-path have no limit of their own, and a full disk would have the node evict its pods.
set -euo pipefail
DATA=${DATA:-/data}
FRONT_PORT=${FRONT_PORT:-9102}    # where HAProxy takes what was measured
TICK_SECONDS=2      # how often the free space is asked, which costs nothing
WALK_SHARE=20       # walking all files takes at most this part of the time: a walk of 10 s is made every 200 s

prepare() {
  mkdir -p "$DATA/buckets" "$DATA/versions"
  # No other account of the node reads objects.
  chmod 0700 "$DATA/buckets" "$DATA/versions"
}

# What the folders take on the disk, in bytes. Where files vanish while they are counted, du ends with 1 and has counted the others.
walk() {
  { LC_ALL=C du --summarize --block-size=1 --total "$DATA/buckets" "$DATA/versions" 2>/dev/null || true; } | sed -n 's/\ttotal$//p'
}

# Size and available bytes of the file system.
disk() { df --block-size=1 --output=size,avail "$DATA" | tail -n 1; }

# left BUDGET USED SIZE AVAILABLE RESERVE_PERCENT: what can still be written, by the budget and by the disk.
left() {
  local by_budget=$(($1 - $2)) by_disk=$(($4 - $3 * $5 / 100))
  echo $((by_budget < by_disk ? by_budget : by_disk))
}

# Tell HAProxy. It may just be starting: the next tick tells it again.
tell() {
  local name commands=""
  for name in "$@"; do commands+="set map /etc/front/budget.map ${name%%=*} ${name#*=};"; done
  { exec 3<>"/dev/tcp/127.0.0.1/$FRONT_PORT" && printf '%s\n' "${commands%;}" >&3 && timeout 5 cat <&3 >/dev/null; } 2>/dev/null || true
  exec 3>&- 2>/dev/null || true
}

watch() {
  # As the first process of a container, bash ignores signals unless it is told, and would wait for the end of each sleep. The image is
  # HAProxy's, whose containers are ended by USR1.
  trap 'exit 0' TERM USR1
  local size available measured used=0 next_walk=0 next_sync=0 began now
  while true; do
    now=$SECONDS
    if ((now >= next_walk)); then
      began=$SECONDS
      measured=$(walk)
      used=${measured:-$used}
      next_walk=$((SECONDS + WALK_SHARE * (SECONDS - began)))
    fi
    read -r size available < <(disk)
    tell "used=$used" "budget=$BUDGET" "free=$available" \
      "left=$(left "$BUDGET" "$used" "$size" "$available" "$RESERVE_PERCENT")"
    # The gateway answers before the disk has the object. This bounds what a power cut can take.
    if ((SYNC_SECONDS > 0 && now >= next_sync)); then
      sync --file-system "$DATA/buckets"
      next_sync=$((now + SYNC_SECONDS))
    fi
    sleep "$TICK_SECONDS" &
    wait $!
  done
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then "$1"; fi
