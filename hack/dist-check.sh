#!/usr/bin/env bash
# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# Makes the release of this commit in two clones at different paths and compares what came
# out. With COLD=1 the second clone compiles everything again in a Go build cache of its own.
# PLATFORMS=linux/amd64 builds less.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
first="$work/a" second="$work/a second/and/deeper"
for clone in "$first" "$second"; do
  git clone -q --no-local . "$clone"
  # Neither time zone, language nor umask may show.
  (
    cd "$clone"
    if [ "$clone" = "$second" ]; then
      export TZ=Asia/Tokyo LC_ALL=C
      umask 077
      [ -z "${COLD:-}" ] || export GOCACHE="$work/cache"
    fi
    go run -trimpath -buildvcs=false ./hack/dist ${PLATFORMS:+-platforms "$PLATFORMS"} > /dev/null
  )
done
if ! diff "$first/dist/checksums.txt" "$second/dist/checksums.txt"; then
  echo "error: two clones of one commit gave different releases" >&2
  exit 1
fi
(cd "$second/dist" && sha256sum --check --quiet checksums.txt)
echo "two clones gave the same $(wc -l < "$first/dist/checksums.txt") files"
