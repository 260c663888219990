#!/usr/bin/env bash
# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs from Debian what is missing on this host, and only that; does nothing when all of it
# is there. What for is the argument:
#   engine  to make clusters: a container engine, when neither Docker nor podman is there
#   build   to build images from source: mmdebstrap too
#   test    to run all tests: both engines, whatever else is there, and a browser for the reports
#   browser the browser alone, with a typeface for its pictures
set -euo pipefail

purpose=${1:-engine}
missing=()
have() { command -v "$1" > /dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

docker_runs() { have docker && timeout 10 docker info > /dev/null 2>&1; }

podman_parts() {
  have podman || missing+=(podman)
  # Only recommended by Debian's podman, and without them it makes no networks and no names.
  for part in netavark aardvark-dns; do
    [ -x "/usr/lib/podman/$part" ] || [ -x "/usr/libexec/podman/$part" ] || missing+=("$part")
  done
  have runc || missing+=(runc)
  have iptables || missing+=(iptables)
  have ip || missing+=(iproute2)
}

browser_parts() {
  have chromium || missing+=(chromium)
  # Chromium brings no typeface; without one pictures of pages have no letters. DejaVu has the marks.
  [ -d /usr/share/fonts/opentype/inter ] || missing+=(fonts-inter)
  [ -f /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf ] || missing+=(fonts-dejavu-core)
}

case $purpose in
  engine) docker_runs || podman_parts ;;
  build)
    docker_runs || podman_parts
    have mmdebstrap || missing+=(mmdebstrap)
    ;;
  test)
    podman_parts
    have mmdebstrap || missing+=(mmdebstrap)
    have dockerd || missing+=(docker.io)
    browser_parts
    ;;
  browser) browser_parts ;;
  *)
    echo "error: unknown purpose $purpose" >&2
    echo "hint: hack/host.sh engine, build, test or browser" >&2
    exit 2
    ;;
esac

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
