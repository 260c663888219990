#!/usr/bin/env bash
# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# Records terminal sessions for the docs, each as an asciinema cast and as an animated SVG.
#
#   hack/record.sh                       all of hack/record/casts
#   hack/record.sh wrong-file            some of them
#   hack/record.sh -c NAME 'COMMAND'...  other commands
#
# OUT is where they go (docs/recordings), COLUMNS_ROWS the terminal (100x30), SPEED how many
# times as fast the recording plays (1). SCRUB holds more words that must not be seen, as
# lines of word=replacement.
set -euo pipefail

cd "$(dirname "$0")/.."
root=$PWD
out=${OUT:-docs/recordings}
size=${COLUMNS_ROWS:-100x30}
mkdir -p "$out"
out=$(cd "$out" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "record: installing asciinema and termtosvg into a throwaway folder" >&2
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r hack/record/requirements.txt

record() { # NAME SCRIPT
  echo "record: $1" >&2
  # A terminal that says as little as possible of this machine; CI would mean plain output.
  env -u CI -u NO_COLOR -u HOSTNAME -u PROMPT_COMMAND TERM=xterm-256color LC_ALL=C.UTF-8 SHELL=/bin/bash ASCIINEMA_CONFIG_HOME="$work" \
    PATH="$root/bin:$PATH" ROOT="$root" \
    "$work/venv/bin/asciinema" rec --quiet --overwrite --cols "${size%x*}" --rows "${size#*x}" \
    --command "bash $root/hack/record/play.sh $2" "$work/$1.raw" < /dev/null
  "$work/venv/bin/python" hack/record/cast.py clean --root "$root" --speed "${SPEED:-1}" "$work/$1.raw" "$out/$1.cast"
  "$work/venv/bin/python" hack/record/cast.py draw --template hack/record/template.svg "$out/$1.cast" "$out/$1.svg"
  ls -l "$out/$1.cast" "$out/$1.svg" | awk '{print "  " $5 " bytes  " $9}' >&2
}

if [ "${1:-}" = -c ]; then
  name=$2
  shift 2
  for command in "$@"; do printf 'play %q\n' "$command"; done > "$work/$name.sh"
  record "$name" "$work/$name.sh"
  exit
fi
[ $# -gt 0 ] || for script in hack/record/casts/*.sh; do set -- "$@" "$(basename "$script" .sh)"; done
for name in "$@"; do
  record "$name" "$root/hack/record/casts/$name.sh"
done
