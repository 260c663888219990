// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// archived is one image of an archive.
type archived struct {
	// names as nodes will know it; none when the archive says none.
	names []string
	// id is the digest of its configuration, "" when it can not be told.
	id string
}

// in says whether nodes that have these images (by name, the id) have all of the source.
func (s *source) in(have map[string]string) bool {
	for _, image := range s.holds {
		if image.id == "" || len(image.names) == 0 {
			return false
		}
		for _, name := range image.names {
			if have[name] != image.id {
				return false
			}
		}
	}
	return len(s.holds) > 0
}

// images are the names under which pods can use the source.
func (s *source) images() []string {
	var names []string
	for _, image := range s.holds {
		names = append(names, image.names...)
	}
	if len(names) == 0 {
		names = []string{s.named()}
	}
	return names
}

// named is what the user called it.
func (s *source) named() string {
	if s.image != "" {
		return s.image
	}
	return s.path
}

// openArchive opens an archive, without the compression that it may have.
func openArchive(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading image archive: %w", err)
	}
	buffered := bufio.NewReader(f)
	if magic, _ := buffered.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return struct {
			io.Reader
			io.Closer
		}{buffered, f}, nil
	}
	plain, err := gzip.NewReader(buffered)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("unpacking image archive %s: %w", name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{plain, f}, nil
}

// describing is how large a JSON file of an archive may be that is read, in bytes.
const describing = 4 << 20

// readArchive says which images a docker or OCI archive holds. It reads the whole archive once.
func readArchive(name string) ([]archived, error) {
	in, err := openArchive(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	files := map[string][]byte{}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading image archive %s: %w", name, err)
		}
		file := path.Clean(h.Name)
		blob := strings.HasPrefix(file, "blobs/") && h.Size <= 64<<10 // manifests are small
		if h.Typeflag != tar.TypeReg || h.Size > describing || !blob && file != "manifest.json" && file != "index.json" {
			continue
		}
		if files[file], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("reading image archive %s: %w", name, err)
		}
	}
	var found []archived
	switch {
	case files["manifest.json"] != nil:
		found, err = dockerImages(files["manifest.json"])
	case files["index.json"] != nil:
		found, err = ociImages(files)
	default:
		err = errors.New("it has neither manifest.json nor index.json, so it is no archive of docker's or OCI's form")
	}
	if err == nil && len(found) == 0 {
		err = errors.New("it holds no image")
	}
	if err != nil {
		return nil, fmt.Errorf("reading image archive %s: %w", name, err)
	}
	return found, nil
}

// dockerImages reads manifest.json of `docker save`.
func dockerImages(data []byte) ([]archived, error) {
	var list []struct {
		Config   string
		RepoTags []string
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	var found []archived
	for _, image := range list {
		digest := strings.TrimSuffix(path.Base(image.Config), ".json")
		one := archived{}
		if len(digest) == 64 {
			one.id = "sha256:" + digest
		}
		for _, tag := range image.RepoTags {
			one.names = append(one.names, fullName(tag))
		}
		found = append(found, one)
	}
	return found, nil
}

// ociImages reads index.json of an image layout, and the manifests that it names.
func ociImages(files map[string][]byte) ([]archived, error) {
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	var found []archived
	for _, entry := range index.Manifests {
		var manifest struct{ Config struct{ Digest string } }
		one := archived{}
		// What is no manifest, as the index of several platforms, has no configuration.
		if data := files["blobs/"+strings.Replace(entry.Digest, ":", "/", 1)]; data != nil && json.Unmarshal(data, &manifest) == nil {
			one.id = manifest.Config.Digest
		}
		name := entry.Annotations["io.containerd.image.name"]
		if ref := entry.Annotations["org.opencontainers.image.ref.name"]; name == "" && strings.Contains(ref, "/") {
			name = ref
		}
		if name != "" {
			one.names = []string{fullName(name)}
		}
		found = append(found, one)
	}
	return found, nil
}

// fullName is a name as containerd keeps it: with registry, and library for Docker's own.
func fullName(name string) string {
	first, rest, several := strings.Cut(name, "/")
	switch {
	case !several:
		return "docker.io/library/" + name
	case first == "docker.io" && !strings.Contains(rest, "/"):
		return "docker.io/library/" + rest
	case first != "localhost" && !strings.ContainsAny(first, ".:"):
		return "docker.io/" + name
	}
	return name
}
