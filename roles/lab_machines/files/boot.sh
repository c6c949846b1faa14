# The first process of a lab machine: what a real machine has and Docker withholds is put right, then init takes over.
# Each mount is private to the machine, so nothing of the computer's own cgroups or settings is shared or written.
set -eu
mount -o remount,rw,bind /proc/sys
for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if mountpoint -q "$controller" && [ ! -L "$controller" ]; then
    mount -o remount,rw,bind "$controller"
  fi
done
mount --make-rshared /
[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11
[ -f /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
exec /sbin/init
