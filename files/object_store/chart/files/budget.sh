#!/bin/bash
# Keeps the object store within its budget, and what was written on the disk.
#   budget.sh prepare  makes the folders of a new volume
#   budget.sh watch    measures, tells HAProxy what can still be written, and syncs; for ever
# Volumes of local-path have no limit of their own, and a full disk would have the node evict its pods.
set -euo pipefail
export LC_ALL=C     # du's last line is named total, and a point is in EPOCHREALTIME
DATA=${DATA:-/data}
FRONT_PORT=${FRONT_PORT:-9102}    # where HAProxy takes what was measured
TICK_SECONDS=1      # how often the free space is asked, which costs nothing; a number counts after two of these at most
WALK_SHARE=20       # walking all files takes at most this part of the time: a walk of 10 s is made every 200 s

prepare() {
  mkdir -p "$DATA/buckets" "$DATA/versions"
  # No other account of the node reads objects.
  chmod 0700 "$DATA/buckets" "$DATA/versions"
}

# For ever: what the folders take on the disk, in bytes. A walk of many files takes minutes. The last line of each has the name total.
walk() {
  trap 'kill "$!" 2>/dev/null || true; exit 0' TERM
  local began seconds
  while true; do
    began=${EPOCHREALTIME/./}
    # Where files vanish while they are counted, du ends with 1 and has counted the others.
    du --summarize --block-size=1 --total "$DATA/buckets" "$DATA/versions" 2>/dev/null &
    wait "$!" || true
    seconds=$(((${EPOCHREALTIME/./} - began) / 1000000))
    sleep $((TICK_SECONDS + WALK_SHARE * seconds)) &
    wait "$!"
  done
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
  local walker began bytes name size available used="" tick=0.2 next_sync=0
  # The numbers come through a pipe, because nothing in the container can be written but the volume.
  exec 4< <(walk)
  walker=$!
  # As the first process of a container, bash ignores signals unless it is told, and would wait for the end of each sleep. The image is
  # HAProxy's, whose containers are ended by USR1.
  trap 'kill "$walker" 2>/dev/null || true; exit 0' TERM USR1
  while true; do
    # If the walker has ended, so does this, and the container starts again.
    while read -r -t 0 -u 4; do
      read -r -u 4 bytes name
      if [ "$name" = total ]; then used=$bytes tick=$TICK_SECONDS; fi
    done
    read -r size available < <(disk)
    # Until the first number is there, nothing is written.
    if [ "$used" ]; then
      tell "used=$used" "budget=$BUDGET" "free=$available" \
        "left=$(left "$BUDGET" "$used" "$size" "$available" "$RESERVE_PERCENT")"
    fi
    # The gateway answers before the disk has the object. This bounds what a power cut can take.
    if ((SYNC_SECONDS > 0 && SECONDS >= next_sync)); then
      began=$SECONDS
      sync --file-system "$DATA/buckets"
      next_sync=$((began + SYNC_SECONDS))
    fi
    sleep "$tick" &
    wait "$!"
  done
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then "$1"; fi
