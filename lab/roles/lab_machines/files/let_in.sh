#!/bin/sh
# Runs in the machine. Enters the public key of standard input into the account $1, and prints the machine's own public key.
# The first line says whether something changed.
set -eu
key=$(cat)
home=$(getent passwd "$1" | cut -d: -f6)
keys=$home/.ssh/authorized_keys
if [ "$(cat "$keys" 2>/dev/null)" = "$key" ]; then
  echo same
else
  install -d -o "$1" -g "$(id -g "$1")" -m 0700 "$home/.ssh"
  printf '%s\n' "$key" | install -o "$1" -g "$(id -g "$1")" -m 0600 /dev/stdin "$keys"
  echo changed
fi
# boot.sh makes the machine's key before init starts.
tries=0
until [ -s /etc/ssh/ssh_host_ed25519_key.pub ] || [ "$tries" -ge 100 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
cut -d' ' -f1-2 /etc/ssh/ssh_host_ed25519_key.pub
