// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
)

// ErrLocked is what errors.Is finds when another process works on the topology.
var ErrLocked = errors.New("topology is in use")

// holder is what the lock file says about the process that holds the lock.
type holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// Lock takes the topology for this process, or says at once who has it (ErrLocked). what
// is the verb, as in "up". The kernel holds the lock: it is gone with the process, however
// that ends, and processes started meanwhile do not inherit it. Calling release twice is fine.
func (d Dir) Lock(what string) (release func(), err error) {
	if err := d.ensure(kubeconfigDir); err != nil {
		return nil, fmt.Errorf("locking %s: %w", d.Path, err)
	}
	path := filepath.Join(d.Path, lockFile)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", d.Path, explain(err, d.Path))
		}
		held, err := acquire(f, path, what)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", d.Path, explain(err, d.Path))
		}
		if held {
			// Closing the only descriptor drops the lock.
			return sync.OnceFunc(func() { _ = f.Close() }), nil
		}
		// The last holder removed the file between opening and locking: take the new one.
		_ = f.Close()
		if err := d.ensure(kubeconfigDir); err != nil {
			return nil, fmt.Errorf("locking %s: %w", d.Path, err)
		}
	}
}

// acquire locks f and writes who holds it; false when path no longer is f.
func acquire(f *os.File, path, what string) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, inUse(f)
	}
	if err != nil {
		return false, err
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(mine, there) {
		return false, nil
	}
	data, err := json.Marshal(holder{PID: os.Getpid(), Command: what, Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return false, err
	}
	if err := f.Truncate(0); err != nil {
		return false, err
	}
	_, err = f.WriteAt(append(data, '\n'), 0)
	return err == nil, err
}

func inUse(f *os.File) error {
	var h holder
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil || json.Unmarshal(data, &h) != nil || h.PID == 0 {
		return diag.Hint(fmt.Errorf("%w by another process", ErrLocked), "wait until it is done")
	}
	return diag.Hint(fmt.Errorf("%w by meshfed %s (process %d) since %s", ErrLocked, h.Command, h.PID, h.Since.Format(time.RFC3339)),
		fmt.Sprintf("wait until it is done, or stop it with: kill %d", h.PID))
}
