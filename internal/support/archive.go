// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package support

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/run"
)

const (
	// maxFile is how large one file may be, in bytes; a larger one is left out, as half a JSON document
	// is none. An Envoy of a hundred services dumps about 3 MB.
	maxFile = 16 << 20
	// maxBundle bounds all files together, in bytes before compression. They are held in memory.
	maxBundle = 256 << 20
	// atOnce bounds the looks at one cluster that go on side by side.
	atOnce = 4
	// lookWithin bounds one look, clusterWithin all of one cluster.
	lookWithin    = 30 * time.Second
	clusterWithin = 3 * time.Minute
)

// Sources are what a bundle is made from.
type Sources struct {
	// Tool is the version that made it, Topology the name in the file.
	Tool, Topology string
	// Clients by cluster: what is looked at.
	Clients map[string]*kube.Client
	// Files are added as they are, by their path in the bundle, but for secrets.
	Files map[string][]byte
	// Runs is a folder of run folders of which the last few are added; "" for none.
	Runs string
	// Missing is what the caller could not have.
	Missing []Missing
	// State is told which cluster is being looked at, by several at once. May be nil.
	State func(string)
}

// Missing is something that could not be had.
type Missing struct {
	Cluster string `json:"cluster,omitempty"`
	What    string `json:"what"`
	Why     string `json:"why"`
}

// File is one file of a bundle.
type File struct {
	// Path below the bundle's folder, with slashes.
	Path string `json:"path"`
	// Bytes before compression.
	Bytes int `json:"bytes"`
	// Cut says what of it was left out; "" when all is there.
	Cut string `json:"cut,omitempty"`

	data []byte
}

// Index is index.json of a bundle: what is in it and what is not.
type Index struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Tool       string    `json:"tool"`
	Topology   string    `json:"topology"`
	CreatedAt  time.Time `json:"createdAt"`
	Files      []File    `json:"files"`
	Missing    []Missing `json:"missing"`
}

// Write looks at all clusters side by side and writes the bundle to name, a gzipped tar of mode 0600
// that replaces a file of that name once it is whole. It reads only, blocks for some minutes at most, and
// may be repeated. An error means that no bundle was written: the end of ctx, or a file that can not be.
func Write(ctx context.Context, name string, s Sources) (*Index, error) {
	g := gathering{missing: slices.Clone(s.Missing)}
	var wg sync.WaitGroup
	for cluster, c := range s.Clients {
		wg.Go(func() {
			if s.State != nil {
				s.State("gathering what there is of " + cluster)
			}
			g.cluster(ctx, c)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for p, data := range s.Files {
		g.add("", File{Path: p, data: data})
	}
	g.runs(s.Runs)
	index := &Index{APIVersion: "meshfed.io/v1alpha1", Kind: "SupportBundle", Tool: s.Tool, Topology: s.Topology,
		CreatedAt: time.Now().UTC().Truncate(time.Second), Files: g.sorted(), Missing: g.missing}
	if index.Missing == nil {
		index.Missing = []Missing{}
	}
	slices.SortFunc(index.Missing, func(a, b Missing) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.What, b.What))
	})
	if err := replace(name, index); err != nil {
		return nil, fmt.Errorf("writing %s: %w", name, err)
	}
	return index, nil
}

// gathering is what there is so far.
type gathering struct {
	mu      sync.Mutex
	files   []File
	missing []Missing
	bytes   int
}

// add keeps a file without its secrets, or notes why not.
func (g *gathering) add(cluster string, f File) {
	why := ""
	if len(f.data) > maxFile {
		why = fmt.Sprintf("it has %d MB, %d are allowed", len(f.data)>>20, maxFile>>20)
	} else {
		f.data = clean(f.Path, f.data)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if why == "" && g.bytes+len(f.data) > maxBundle {
		why = fmt.Sprintf("the bundle has %d MB without it, %d are allowed", g.bytes>>20, maxBundle>>20)
	}
	if why != "" {
		g.missing = append(g.missing, Missing{cluster, f.Path, why})
		return
	}
	f.Bytes = len(f.data)
	g.bytes += f.Bytes
	g.files = append(g.files, f)
}

func (g *gathering) miss(cluster, what string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.missing = append(g.missing, Missing{cluster, what, run.Redact(diag.Clip(err.Error(), 500))})
}

func (g *gathering) sorted() []File {
	slices.SortFunc(g.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return append([]File{}, g.files...)
}

// cluster makes every look at one cluster.
func (g *gathering) cluster(ctx context.Context, c *kube.Client) {
	ctx, cancel := context.WithTimeout(ctx, clusterWithin)
	defer cancel()
	if err := answers(ctx, c); err != nil {
		g.miss(c.Cluster, "everything", err)
		return
	}
	var eg errgroup.Group
	eg.SetLimit(atOnce)
	for _, l := range looks(ctx, c, func(what string, err error) { g.miss(c.Cluster, what, err) }) {
		eg.Go(func() error {
			looking, cancel := context.WithTimeout(ctx, lookWithin)
			defer cancel()
			f, err := l.read(looking, c)
			switch {
			case err != nil:
				g.miss(c.Cluster, l.path, err)
			case f.data != nil:
				f.Path = path.Join("clusters", c.Cluster, l.path)
				g.add(c.Cluster, f)
			}
			return nil
		})
	}
	_ = eg.Wait() // each look has its own error
}

// answers asks the API server for something small, so that one that is silent is waited for once.
func answers(ctx context.Context, c *kube.Client) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	err := c.List(ctx, &corev1.NamespaceList{}, client.Limit(1))
	if apierrors.IsForbidden(err) {
		return nil
	}
	return c.Explain(err, "asking for a namespace")
}

// lastRuns is how many run folders are added: the last `up`, and what was tried after it.
const lastRuns = 5

// runs adds logs, events and faults of the last runs, which were redacted when they were written.
func (g *gathering) runs(folder string) {
	if folder == "" {
		return
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			g.miss("", "runs", err)
		}
		return
	}
	for _, e := range entries[max(0, len(entries)-lastRuns):] {
		for _, name := range []string{"log", "events.jsonl", "faults.jsonl"} {
			data, err := os.ReadFile(filepath.Join(folder, e.Name(), name))
			if err != nil {
				if !errors.Is(err, os.ErrNotExist) {
					g.miss("", path.Join("runs", e.Name(), name), err)
				}
				continue
			}
			g.add("", File{Path: path.Join("runs", e.Name(), name), data: data})
		}
	}
}

// replace writes the archive beside its place and moves it there.
func replace(name string, index *Index) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".meshfed-support-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = diag.Hint(err, "free some space (df -h "+run.ShellWord(filepath.Dir(name))+"), or name a file elsewhere")
		}
	}()
	err = pack(f, index)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return err
}

// pack writes index.json and after it the files, all in one folder.
func pack(w io.Writer, index *Index) error {
	zipped := gzip.NewWriter(w)
	out := tar.NewWriter(zipped)
	put := func(name string, data []byte) error {
		name = path.Join("meshfed-support-"+index.Topology, name)
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data)), ModTime: index.CreatedAt, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := out.Write(data)
		return err
	}
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := put("index.json", append(data, '\n')); err != nil {
		return err
	}
	for _, f := range index.Files {
		if err := put(f.Path, f.data); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zipped.Close())
}
