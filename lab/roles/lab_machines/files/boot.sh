#!/bin/sh
# The first process of a lab machine. It sets up what a real machine has and a container has not, and then starts init.
# All mounts are private to the machine, so the computer's own cgroups are neither shared nor changed.
set -eu
mount -o remount,rw,bind /proc/sys
for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if mountpoint -q "$controller" && [ ! -L "$controller" ]; then
    mount -o remount,rw,bind "$controller"
  fi
done
# All containers of a computer share one limit of inotify instances. The usual 128 are used up by two small labs.
[ "$(cat /proc/sys/fs/inotify/max_user_instances)" -ge 8192 ] || echo 8192 >/proc/sys/fs/inotify/max_user_instances
# Pods share mounts with their node, so mounts must propagate.
mount --make-rshared /
[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11
[ -f /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
exec /sbin/init
