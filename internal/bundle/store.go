// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/run"
)

// storeDir is where a node image keeps all component images unpacked; see sources/node/meshfed-store.sh.
const storeDir = "kind/store"

// Labels by which containerd's Kubernetes part takes an image for its own, and the kubelet never removes it.
const (
	managedLabel = "io.cri-containerd.image=managed"
	pinnedLabel  = "io.cri-containerd.pinned=pinned"
)

// fillStore starts the containerd in bin on this host, with folders of its own and without containers,
// imports the image layout and unpacks it. What it leaves in root is complete: databases, snapshots
// and manifests, without the layers' archives.
func fillStore(ctx context.Context, bin, images, root string, log *logFile) error {
	// Sockets have short names, cache folders need not.
	state, err := os.MkdirTemp("", "meshfed-store-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(state)
	config, err := source("store/import.toml")
	if err != nil {
		return err
	}
	if err := writeFiles(state, map[string][]byte{"config.toml": config}); err != nil {
		return err
	}
	s := importer{bin: bin, root: root, state: state, log: log}
	server, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.serve(server) }()
	err = s.importAll(ctx, images, ended)
	stop()
	<-ended //nolint:errcheck // it was told to stop: how it ended says nothing
	return err
}

type importer struct {
	bin, root, state string
	log              *logFile
}

func (s importer) socket() string { return filepath.Join(s.state, "c.sock") }

// serve runs until ctx ends. A mount namespace of its own takes every mount with it when it ends.
func (s importer) serve(ctx context.Context) error {
	return run.Command{
		Name: "unshare", Stdout: s.log, Stderr: s.log,
		Args: []string{"--mount", "--propagation", "private", filepath.Join(s.bin, "containerd"),
			"--config", filepath.Join(s.state, "config.toml"), "--root", s.root, "--state", filepath.Join(s.state, "s"), "--address", s.socket()},
	}.Run(ctx)
}

func (s importer) importAll(ctx context.Context, images string, ended chan error) error {
	err := poll.Until(ctx, poll.Options{What: "containerd to serve", Interval: 50 * time.Millisecond, Deadline: time.Minute},
		func(ctx context.Context) (bool, string, error) {
			select {
			case err := <-ended:
				ended <- err
				return false, "", poll.Stop(fmt.Errorf("starting containerd: %w", err))
			default:
			}
			err := s.ctr(ctx, nil, "version")
			return err == nil, "not yet", err
		})
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(packFolder(w, images)) }()
	err = s.ctr(ctx, r, "images", "import", "--local", "--snapshotter", "overlayfs", "--label", managedLabel, "--label", pinnedLabel, "-")
	r.Close()
	if err != nil {
		return fmt.Errorf("unpacking images: %w", err)
	}
	// Unpacked layers serve nobody; the collector runs before this returns.
	if err := s.ctr(ctx, nil, "content", "prune", "references"); err != nil {
		return fmt.Errorf("dropping packed layers: %w", err)
	}
	return nil
}

func (s importer) ctr(ctx context.Context, stdin io.Reader, args ...string) error {
	return run.Command{
		Name: filepath.Join(s.bin, "ctr"), Args: append([]string{"--address", s.socket(), "--namespace", "k8s.io"}, args...),
		Stdin: stdin, Stdout: s.log, Stderr: s.log,
	}.Run(ctx)
}

// packFolder writes the files of a folder as an archive.
func packFolder(w io.Writer, dir string) error {
	t := tar.NewWriter(w)
	if err := t.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return t.Close()
}

// writeStore puts what fillStore left into a layer.
func writeStore(root string) func(*tar.Writer) error {
	return func(w *tar.Writer) error {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "kind/", Mode: 0o755, Format: tar.FormatPAX, ModTime: epoch()}); err != nil {
			return err
		}
		seen := map[inode]string{}
		return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			if !inStore(rel) {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if err := writeAsIs(w, p, filepath.Join(storeDir, rel), seen); err != nil {
				return fmt.Errorf("storing %s: %w", rel, err)
			}
			return nil
		})
	}
}

// inStore reports whether a path below containerd's root is of use in a node.
func inStore(rel string) bool {
	return matches([]string{
		"io.containerd.metadata.v1.bolt", "io.containerd.snapshotter.v1.overlayfs",
		"io.containerd.content.v1.content/blobs",
	}, rel) || rel == "." || rel == "io.containerd.content.v1.content"
}
