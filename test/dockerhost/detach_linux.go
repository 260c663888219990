// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package dockerhost

import "syscall"

func detach(path string) error { return syscall.Unmount(path, syscall.MNT_DETACH) }
