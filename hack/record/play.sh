# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# Plays a list of commands as somebody would type them. The list is a shell script that says
# `play 'COMMAND'` for each; what it does beside that is not seen. Nothing stops at a command
# that fails: some are there to show how that looks.

# play types a command and runs it.
play() {
  local i
  printf '\033[1m$\033[0m '
  sleep 0.6
  for ((i = 0; i < ${#1}; i++)); do
    printf '%s' "${1:i:1}"
    sleep 0.03
  done
  sleep 0.4
  printf '\n'
  eval "$1"
  printf '\n'
  sleep 0.9
}

cd "${ROOT:?}" || exit 1
# shellcheck source=/dev/null
. "$1"
