// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Command boundedrunc is an OCI runtime for a Docker Engine on a host without CAP_SYS_RESOURCE:
// it takes out of a container's specification what such a host can not give - the capability,
// limits and OOM scores - and then becomes runc. Where the host has the capability it changes
// nothing.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	err := trim(os.Args[1:])
	if err == nil {
		err = become("runc", os.Args[1:])
	}
	fmt.Fprintln(os.Stderr, "boundedrunc:", err)
	syscall.Exit(1)
}

// become replaces this process; it returns only when that did not work.
func become(program string, args []string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		// The daemon's PATH may be that of a user.
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil {
		return err
	}
	//nolint:gosec // being runc with the arguments of the engine is its work
	return syscall.Exec(path, append([]string{program}, args...), os.Environ())
}
