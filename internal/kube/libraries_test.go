// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"errors"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// TestLibrariesDoNotWriteToStderr is not parallel: loggers and stderr are the process's.
func TestLibrariesDoNotWriteToStderr(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	t.Cleanup(func() {
		os.Stderr = stderr
		klog.ClearLogger()
		log.SetOutput(stderr)
	})
	os.Stderr = file
	log.SetOutput(file)

	var words bytes.Buffer
	LogTo(&words)
	said := map[string]func(string){
		"the port-forwarder": func(s string) { utilruntime.HandleError(errors.New(s)) },
		"a request":          func(s string) { klog.Error(s) },
		"a warning":          func(s string) { klog.Warning(s) },
		"a context":          func(s string) { klog.FromContext(t.Context()).Error(errors.New(s), "reading") },
		"controller-runtime": func(s string) { ctrllog.Log.Error(errors.New(s), "reading") },
		"net/http":           func(s string) { log.Print(s) },
		"Helm":               func(s string) { slog.Default().Error(s) },
	}
	for who, say := range said {
		say("broken pipe of " + who)
	}
	klog.Flush()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(file); err != nil || len(text) > 0 {
		t.Errorf("on stderr: %s, %v", text, err)
	}
	for who := range said {
		if !strings.Contains(words.String(), "broken pipe of "+who) {
			t.Errorf("%s is lost: %s", who, words.String())
		}
	}
}
