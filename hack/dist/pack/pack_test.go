// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package pack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/hack/dist/pack"
)

// packed is an archive of entries.
func packed(t *testing.T, entries []pack.Entry, modified time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := pack.Gzip(&b, func(w io.Writer) error { return pack.Tar(w, entries, modified) }); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSameArchive: neither the order of files, their modes and times on disk, nor the time
// zone of the maker show in an archive.
func TestSameArchive(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 11, 22, 10, 12, 13, 0, time.UTC)
	make := func(mode os.FileMode, age time.Duration) []pack.Entry {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("of-%o", mode))
		if err := os.WriteFile(file, []byte("program"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, when.Add(-age), when.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return []pack.Entry{{Name: "x/meshfed", Path: file, Executable: true}, {Name: "x/man/man1/a.1", Data: []byte("manual")}, {Name: "x/LICENSE", Data: []byte("terms")}}
	}
	one := packed(t, make(0o600, time.Hour), when)
	entries := make(0o755, 0)
	slices.Reverse(entries)
	other := packed(t, entries, when.In(time.FixedZone("far", 9*3600)))
	if !bytes.Equal(one, other) {
		t.Error("two archives of the same files differ")
	}

	z, err := gzip.NewReader(bytes.NewReader(one))
	if err != nil {
		t.Fatal(err)
	}
	if z.Name != "" || !z.ModTime.IsZero() {
		t.Errorf("gzip header %+v", z.Header)
	}
	var got []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(when) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%+v", h)
		}
		got = append(got, fmt.Sprintf("%o %s %s", h.Mode, h.Name, content))
	}
	want := []string{"755 x/ ", "644 x/LICENSE terms", "755 x/man/ ", "755 x/man/man1/ ", "644 x/man/man1/a.1 manual", "755 x/meshfed program"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWrite: a failure leaves what was there.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	if err := pack.Write(file, func(w io.Writer) error { _, err := io.WriteString(w, "old"); return err }); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := pack.Write(file, func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return broken })
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), file) {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "old" {
		t.Errorf("%q, %v", data, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestChecksums(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := pack.Checksums(dir, []string{"b", "a"})
	const sum = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"
	if err != nil || string(got) != sum+"  a\n"+sum+"  b\n" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := pack.Checksums(dir, []string{"c"}); err == nil {
		t.Error("a file that is not there has a checksum")
	}
}
