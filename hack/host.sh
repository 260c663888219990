#!/usr/bin/env bash
# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs from Debian what is missing on this host, and only that; does nothing when all of it
# is there. What for is the argument:
#   engine  to make clusters: a container engine, when neither Docker nor podman is there
#   build   to build images from source: mmdebstrap too
#   test    to run all tests: both engines, whatever else is there, ipset, a browser for the reports, and
#           Prometheus, whose package is unpacked into the user's cache: installed, it starts a service
#   browser the browser alone, with a typeface for its pictures
#   tidy    nothing: it has podman end containers that it believes to run and that have no process
#           any more. Their published ports still lead into their empty network, and whoever listens
#           on one of them is refused: a test on a free port, for one
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

prometheus_dir=${XDG_CACHE_HOME:-$HOME/.cache}/meshfed/prometheus
prometheus_there() {
  { have prometheus && have promtool; } || [ -x "$prometheus_dir/usr/bin/promtool" ]
}

# Needs the C library alone of what the package depends on; the rest is for its old web page.
unpack_prometheus() {
  local dir
  dir=$(mktemp -d)
  (cd "$dir" && apt-get download -q prometheus) || { rm -rf "$dir"; return 1; }
  rm -rf "$prometheus_dir"
  mkdir -p "$prometheus_dir"
  dpkg -x "$dir"/prometheus_*.deb "$prometheus_dir"
  rm -rf "$dir"
}

# What a session leaves whose processes were all killed, podman's monitors among them: podman goes on
# calling it running, and neither its sync nor its cleanup touches it. A process counts as gone only
# where podman numbers processes as this shell does: not when it is remote.
tidy() {
  have podman && [ "$(id -u)" -eq 0 ] && [ -d /proc/self ] || return 0
  [ "$(timeout 60 podman info --format '{{.Host.ServiceIsRemote}}' 2> /dev/null)" = false ] || return 0
  local id pid monitor
  for id in $(timeout 60 podman ps --quiet 2> /dev/null); do
    read -r pid monitor <<< "$(timeout 60 podman inspect --format '{{.State.Pid}} {{.State.ConmonPid}}' "$id" 2> /dev/null)"
    [ "${pid:-0}" -gt 0 ] && [ "${monitor:-0}" -gt 0 ] || continue
    [ ! -d "/proc/$pid" ] && [ ! -d "/proc/$monitor" ] || continue
    echo "host: container $id has no process any more; podman ends it" >&2
    timeout 60 podman stop -t 0 "$id" > /dev/null || echo "warning: podman did not end it; \`podman rm -f $id\` removes it" >&2
  done
}

unpack=
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
    have ipset || missing+=(ipset)
    browser_parts
    prometheus_there || unpack=yes
    ;;
  browser) browser_parts ;;
  tidy)
    tidy
    exit 0
    ;;
  *)
    echo "error: unknown purpose $purpose" >&2
    echo "hint: hack/host.sh engine, build, test, browser or tidy" >&2
    exit 2
    ;;
esac

[ ${#missing[@]} -eq 0 ] && [ -z "$unpack" ] && exit 0
if ! have apt-get; then
  echo "error: ${missing[*]} ${unpack:+prometheus} missing, and this is no Debian" >&2
  echo "hint: install them with your package manager, then run make again" >&2
  exit 1
fi
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" -ne 0 ]; then
  echo "error: ${missing[*]} missing" >&2
  echo "hint: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if [ -n "$unpack" ]; then
  echo "host: unpacking Debian's prometheus into $prometheus_dir" >&2
  # Only root may bring the list of packages up to date; one that is there may do.
  { { [ "$(id -u)" -ne 0 ] || apt-get update -q; } && unpack_prometheus; } > "$log" 2>&1 || {
    tail -20 "$log" >&2
    echo "error: getting Debian's prometheus did not succeed" >&2
    echo "hint: apt-get update && apt-get download prometheus" >&2
    exit 1
  }
fi
[ ${#missing[@]} -eq 0 ] && exit 0
echo "host: installing ${missing[*]}" >&2
{ apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } > "$log" 2>&1 || {
  tail -20 "$log" >&2
  echo "error: installing ${missing[*]} did not succeed" >&2
  echo "hint: apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
}
