#!/bin/sh
# Measures for the node exporter: what volumes take on the disk, all the time, and the rest (measure.py) every ten minutes.
# It is a shell script because it waits all the time: a waiting Python holds ten times the memory.
# measure.sh FILE VOLUMES COMMAND...: the file that is written, the folder of the volumes, and what measures the rest.
set -u
file=$1 volumes=$2
shift 2

# Fails if not all of it could be written, as on a full disk.
sizes() {
  echo '# HELP dirsize_total_size_bytes What the files of a volume take on the disk.' || return
  echo '# TYPE dirsize_total_size_bytes gauge' || return
  # What the provisioner of k3s calls the folder of a volume: pvc-UID_NAMESPACE_CLAIM.
  for folder in "$volumes"/pvc-????????-????-????-????-????????????_?*_?*; do
    claim=${folder##*/pvc-????????-????-????-????-????????????_}
    case $claim in *[!a-z0-9._-]*) continue ;; esac
    # What goes away meanwhile counts as nothing.
    size=$(du --summarize --one-file-system --block-size=1 -- "$folder" 2>/dev/null) || [ -n "$size" ] || continue
    printf 'dirsize_total_size_bytes{namespace="%s",persistentvolumeclaim="%s"} %s\n' "${claim%%_*}" "${claim#*_}" "${size%%[!0-9]*}" ||
      return
  done
}

# Prints hundredths of a second since the boot. Somebody may set the clock.
now() {
  read -r up _ < /proc/uptime
  echo "${up%.*}${up#*.}"
}

rest_at=0
while :; do
  began=$(now)
  # The node exporter sees the file whole.
  sizes > "$file.new" && chmod 0644 "$file.new" && mv "$file.new" "$file"
  # Volumes with millions of files are measured seldom: the pause in seconds is a hundred times what it took, but no more than ten minutes.
  pause=$(($(now) - began))
  [ "$pause" -ge 5 ] || pause=5
  [ "$pause" -le 600 ] || pause=600
  if [ "$began" -ge "$rest_at" ]; then
    "$@"
    rest_at=$((began + 60000))
  fi
  sleep "$pause"
done
