#!/bin/sh
# The first process of a lab machine: what a real machine has and Docker withholds is put right, then init takes over.
# Each mount is private to the machine, so nothing of the computer's own cgroups is shared or written.
set -eu
mount -o remount,rw,bind /proc/sys
for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if mountpoint -q "$controller" && [ ! -L "$controller" ]; then
    mount -o remount,rw,bind "$controller"
  fi
done
# All containers of a computer share one budget of watches; the usual 128 ends at two small labs.
[ "$(cat /proc/sys/fs/inotify/max_user_instances)" -ge 8192 ] || echo 8192 >/proc/sys/fs/inotify/max_user_instances
# Pods share mounts with their node.
mount --make-rshared /
[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11
[ -f /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
exec /sbin/init
