// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/diag"
)

func containsAll(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

func TestMissingToolsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	err := checkHost(t.Context(), func(string) (string, error) { return "", exec.ErrNotFound })
	if err == nil || !containsAll(err.Error(), "go is needed", "python3 is needed", "mmdebstrap is needed") {
		t.Fatalf("got %v", err)
	}
	if hints := strings.Join(diag.Hints(err), "\n"); !containsAll(hints, "apt-get install -y mmdebstrap", "apt-get install -y python3") {
		t.Errorf("hints are\n%s", hints)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	const dir = "/var/cache/somewhere"
	err := checkSpace(dir, coldSpace, func(string) (uint64, error) { return 3 << 30, nil })
	if err == nil || !containsAll(err.Error(), dir, "3.0 GiB", "15 GiB") || len(diag.Hints(err)) == 0 {
		t.Errorf("got %v", err)
	}
	if err := checkSpace(dir, coldSpace, func(string) (uint64, error) { return coldSpace, nil }); err != nil {
		t.Errorf("enough room is refused: %v", err)
	}
	broken := errors.New("no disk")
	if err := checkSpace(dir, 1, func(string) (uint64, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if space(1000) != coldSpace || space(50) != warmSpace {
		t.Error("a build from nothing and a small one ask for the same room")
	}
}

func TestFreeSpaceOfFolderToBe(t *testing.T) {
	t.Parallel()
	free, err := freeSpace(filepath.Join(t.TempDir(), "not", "yet"))
	if err != nil || free == 0 {
		t.Errorf("got %d, %v", free, err)
	}
}

func TestOldCompilerIsRefused(t *testing.T) {
	t.Parallel()
	for release, fine := range map[string]bool{"go1.26.8": true, "go1.27.0": true, "go1.26.7": false, "go1.9": false} {
		err := checkGo(release)
		if (err == nil) != fine {
			t.Errorf("%s: %v", release, err)
		}
		if err != nil && !containsAll(err.Error(), minGo, release) {
			t.Errorf("%v names not both releases", err)
		}
	}
}

// TestForeignPlatformIsRefused by its name, not by what is missing there.
func TestForeignPlatformIsRefused(t *testing.T) {
	t.Parallel()
	if err := checkPlatform("linux", "amd64"); err != nil {
		t.Error(err)
	}
	for _, platform := range [][2]string{{"darwin", "arm64"}, {"darwin", "amd64"}, {"linux", "arm64"}} {
		err := checkPlatform(platform[0], platform[1])
		if err == nil || !containsAll(err.Error(), "linux/amd64 only", platform[0]+"/"+platform[1]) ||
			!containsAll(strings.Join(diag.Hints(err), "\n"), "meshfed bundle pull") {
			t.Errorf("%v: %v", platform, err)
		}
	}
}
