#!/usr/bin/env bash
# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs what building images from source and running kind clusters needs, and only that:
# a container engine when none is there, and mmdebstrap. Does nothing when all of it is there.
set -euo pipefail

missing=()
have() { command -v "$1" > /dev/null 2>&1; }

have podman || missing+=(podman)
# Only recommended by Debian's podman, and without them it makes no networks and no names.
for part in netavark aardvark-dns; do
  [ -x "/usr/lib/podman/$part" ] || [ -x "/usr/libexec/podman/$part" ] || missing+=("$part")
done
have runc || missing+=(runc)
have mmdebstrap || missing+=(mmdebstrap)
have iptables || missing+=(iptables)
have ip || missing+=(iproute2)

[ ${#missing[@]} -eq 0 ] && exit 0
if ! have apt-get; then
  echo "error: ${missing[*]} missing, and this is no Debian" >&2
  echo "hint: install them with your package manager, then run make again" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "error: ${missing[*]} missing" >&2
  echo "hint: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
echo "host: installing ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } > "$log" 2>&1 || {
  tail -20 "$log" >&2
  echo "error: installing ${missing[*]} did not succeed" >&2
  echo "hint: apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
}
