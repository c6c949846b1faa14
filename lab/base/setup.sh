#!/bin/sh
# Turn a fresh Debian system (argument 1) into the base of the lab's images: nothing that no container reads.
set -eu
rootfs=$1

find "$rootfs/usr/share/doc" -type f ! -name copyright -delete
rm -rf "$rootfs"/usr/share/man/* "$rootfs"/usr/share/info/* "$rootfs"/usr/share/locale/* \
       "$rootfs"/var/cache/apt/archives/*.deb "$rootfs"/var/cache/debconf/*-old "$rootfs"/var/lib/apt/lists/* "$rootfs"/var/log/*.log
rm -f "$rootfs/etc/resolv.conf" "$rootfs/etc/hostname"
: > "$rootfs/etc/machine-id"

# Started a thousand times, changed never: the interpreter need not ask whether its own files are newer.
chroot "$rootfs" python3 -m compileall -q -j0 --invalidation-mode unchecked-hash -x 'bad_|badsyntax|lib2to3' /usr/lib/python3.11
