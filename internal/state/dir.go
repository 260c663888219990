// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
)

const (
	lockFile      = "lock"
	ownerFile     = "owner"
	engineFile    = "engine.json"
	bundleFile    = "bundle.json"
	kubeconfigDir = "kubeconfig"
	pkiDir        = "pki"
	runsDir       = "runs"
	verifyFile    = "verify.json"
	existingFile  = "existing.json"
)

var ownerForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Dir is the state folder of one topology. Paths are computed; nothing is made until
// something is written.
type Dir struct {
	// Path of the folder, absolute.
	Path string
}

// DefaultBase is $XDG_STATE_HOME/meshfed, or ~/.local/state/meshfed. It is "" when neither
// the variable nor a home directory is known.
func DefaultBase() string {
	// The XDG specification has relative paths ignored.
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "meshfed")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "meshfed")
}

// Open names the state folder of a topology under base, or under DefaultBase when base is
// empty. It touches nothing: commands that only look leave no trace.
func Open(base, topology string) (Dir, error) {
	if base == "" {
		base = DefaultBase()
	}
	if base == "" {
		return Dir{}, diag.Hint(errors.New("finding the state folder: neither XDG_STATE_HOME nor HOME is set"),
			"set XDG_STATE_HOME, or name a folder with --state-dir")
	}
	if topology == "" || strings.HasPrefix(topology, ".") || strings.ContainsAny(topology, `/\`) {
		return Dir{}, fmt.Errorf("finding the state folder: %q is no name of a topology", topology)
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return Dir{}, fmt.Errorf("finding the state folder: %w", err)
	}
	return Dir{Path: filepath.Join(base, topology)}, nil
}

// Kubeconfig is the path of a cluster's kubeconfig; the file may not exist.
func (d Dir) Kubeconfig(cluster string) string {
	return filepath.Join(d.Path, kubeconfigDir, cluster)
}

// WriteKubeconfig writes a cluster's kubeconfig, atomically and 0600. Idempotent.
func (d Dir) WriteKubeconfig(cluster string, data []byte) error {
	return d.write(filepath.Join(kubeconfigDir, cluster), data)
}

// RemoveKubeconfig removes a cluster's kubeconfig; absent is success.
func (d Dir) RemoveKubeconfig(cluster string) error {
	if err := os.Remove(d.Kubeconfig(cluster)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the kubeconfig of %s: %w", cluster, err)
	}
	return nil
}

// PKI is the folder of the root's certificate and key; it may not exist.
func (d Dir) PKI() string { return filepath.Join(d.Path, pkiDir) }

// NewOwner returns a random owner id, 16 hexadecimal digits.
func NewOwner() string {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails, as of Go 1.24
	return hex.EncodeToString(id)
}

// Owner returns the recorded owner id. Without one the error wraps fs.ErrNotExist: the
// caller recovers the id from the clusters, or makes one with NewOwner.
func (d Dir) Owner() (string, error) {
	path := filepath.Join(d.Path, ownerFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the owner id: %w", explain(err, d.Path))
	}
	id := strings.TrimSpace(string(data))
	if !ownerForm.MatchString(id) {
		return "", diag.Hint(fmt.Errorf("reading the owner id: %s does not hold 16 hexadecimal digits", path),
			"remove it with: rm "+path+" (the id is found again from the clusters)")
	}
	return id, nil
}

// SetOwner records the owner id. Idempotent; another id than the recorded one is refused,
// as everything that carries the recorded one would then belong to nobody.
func (d Dir) SetOwner(id string) error {
	if !ownerForm.MatchString(id) {
		return fmt.Errorf("recording the owner id: %q is not 16 hexadecimal digits", id)
	}
	switch old, err := d.Owner(); {
	case err == nil && old == id:
		return nil
	case err == nil:
		return diag.Hint(fmt.Errorf("recording the owner id %s: %s holds %s", id, filepath.Join(d.Path, ownerFile), old),
			"use another metadata.name, or another folder with --state-dir")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return d.write(ownerFile, []byte(id+"\n"))
}

// Engine is where the clusters of a topology are.
type Engine struct {
	// Name of the container engine, and ID of the one daemon or store; see cluster.Facts.
	Name string `json:"name"`
	ID   string `json:"id"`
	// Network is the container network that the clusters have joined.
	Network string `json:"network"`
}

// Engine returns where the clusters are, as it was recorded; zero when nothing was.
func (d Dir) Engine() (Engine, error) {
	var e Engine
	err := d.ReadJSON(engineFile, &e)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return e, err
}

// Bundle is the folder of the image bundle that the last `up` was told to use; empty for none.
func (d Dir) Bundle() (string, error) {
	var dir string
	err := d.ReadJSON(bundleFile, &dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return dir, err
}

// SetBundle records it. Idempotent.
func (d Dir) SetBundle(dir string) error { return d.WriteJSON(bundleFile, dir) }

// SetEngine records where the clusters are. Idempotent.
func (d Dir) SetEngine(e Engine) error { return d.WriteJSON(engineFile, e) }

// Access is by which names a cluster of the user's own was reached. Nothing of the kubeconfig
// itself is kept.
type Access struct {
	// Kubeconfig is the absolute path of the file, empty for kubectl's own rules, and Context the
	// one in it.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context"`
	// UID is the cluster's: that of its namespace kube-system, which lives as long as it does.
	UID string `json:"uid"`
}

// Existing returns by which names the clusters of the user's own were reached that `up` has
// written to, by their names in the file; empty when none was.
func (d Dir) Existing() (map[string]Access, error) {
	found := map[string]Access{}
	err := d.ReadJSON(existingFile, &found)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return found, err
}

// SetExisting records them. Idempotent.
func (d Dir) SetExisting(all map[string]Access) error { return d.WriteJSON(existingFile, all) }

// ExistingFile is where they are recorded; the file may not exist.
func (d Dir) ExistingFile() string { return filepath.Join(d.Path, existingFile) }

// LastVerify returns the last verdict of verify as it was recorded. Without one the error
// wraps fs.ErrNotExist.
func (d Dir) LastVerify() (json.RawMessage, error) {
	var raw json.RawMessage
	if err := d.ReadJSON(verifyFile, &raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// SetLastVerify records the verdict of verify, any value that marshals to JSON.
func (d Dir) SetLastVerify(v any) error { return d.WriteJSON(verifyFile, v) }

// ReadJSON reads a file of the folder into v. Without one the error wraps fs.ErrNotExist.
func (d Dir) ReadJSON(name string, v any) error {
	path := filepath.Join(d.Path, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading state: %w", explain(err, d.Path))
	}
	if err := json.Unmarshal(data, v); err != nil {
		return diag.Hint(fmt.Errorf("reading state: %s: %w", path, err), "remove it with: rm "+path)
	}
	return nil
}

// WriteJSON writes v to a file of the folder, atomically and 0600.
func (d Dir) WriteJSON(name string, v any) error {
	if raw, ok := v.([]byte); ok {
		v = json.RawMessage(raw)
	}
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing state %s: %w", name, err)
	}
	return d.write(name, append(data, '\n'))
}

// Remove deletes the folder; with keepPKI all of it but the root's certificate and key.
// Call it with the lock held; the lock file goes last. Absent is success. An empty default
// base goes too, a folder that the user named stays.
func (d Dir) Remove(keepPKI bool) error {
	entries, err := os.ReadDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing state: %w", err)
	}
	var errs []error
	kept := false
	for _, e := range entries {
		switch {
		case e.Name() == lockFile:
		case keepPKI && e.Name() == pkiDir && !empty(d.PKI()):
			kept = true
		default:
			errs = append(errs, os.RemoveAll(filepath.Join(d.Path, e.Name())))
		}
	}
	if err := os.Remove(filepath.Join(d.Path, lockFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing state: %w", explain(err, d.Path))
	}
	if kept {
		return nil
	}
	if err := os.Remove(d.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing state: %w", explain(err, d.Path))
	}
	if base := filepath.Dir(d.Path); base == DefaultBase() {
		_ = os.Remove(base) // fails when other topologies have state there, as it should
	}
	return nil
}

func empty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}
