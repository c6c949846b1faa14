#!/bin/sh
# Turn a fresh Debian system (argument 1) into a lab machine, with what lies beside this file (argument 2).
set -eu
rootfs=$1
here=$2

cp -RP --no-preserve=ownership "$here/rootfs/." "$rootfs/"
find "$rootfs/etc/sudoers.d" "$rootfs/etc/ssh/sshd_config.d" -type f -exec chmod 0440 {} +

# The operator: a key is given when a machine is made, and there is no password to guess.
# Debian has an old group of that name, without rights of its own.
chroot "$rootfs" useradd --create-home --shell /bin/bash --gid operator operator
chroot "$rootfs" install -d -m 0700 -o operator -g operator /home/operator/.ssh

sed 's/[[:space:]]*#.*//; /^$/d' "$here/masked.txt" | while read -r unit; do
  ln -sfn /dev/null "$rootfs/etc/systemd/system/$unit"
done
chroot "$rootfs" systemctl --quiet enable ssh.service
chroot "$rootfs" systemctl --quiet set-default multi-user.target

# Each machine makes its own identity at its first boot (lab/roles/lab_machines/files/boot.sh).
rm -f "$rootfs"/etc/ssh/ssh_host_* "$rootfs/etc/resolv.conf" "$rootfs/etc/hostname" "$rootfs/var/lib/dbus/machine-id"
: > "$rootfs/etc/machine-id"
rm -rf "$rootfs"/var/cache/apt/archives/*.deb "$rootfs"/var/lib/apt/lists/*
