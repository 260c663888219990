# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# A wrong file is refused before anything is touched. Wants nothing.
cd hack/record || exit
play 'cat wrong.yaml'
play 'meshfed validate -f wrong.yaml'
