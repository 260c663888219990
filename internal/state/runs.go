// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/run"
)

const (
	// keepRuns is how many run folders stay.
	keepRuns = 20
	// runTime sorts as text the way it sorts as time.
	runTime = "20060102T150405Z"
)

var runForm = regexp.MustCompile(`^\d{8}T\d{6}Z-`)

// RunFolder is what one run of a command leaves: a log, its events as JSON lines and a
// trace. All of it is redacted, 0600, and safe for concurrent use.
type RunFolder struct {
	// Path of the folder.
	Path string

	mu     sync.Mutex
	log    *run.Redactor
	files  []*os.File
	events *os.File
	trace  *Trace
	closed bool
}

// Runs is where the folders of runs are, whose names sort by their start.
func (d Dir) Runs() string { return filepath.Join(d.Path, runsDir) }

// NewRun makes the folder of a run that starts now, runs/<UTC time>-<verb>, and removes
// the oldest ones beyond 20.
func (d Dir) NewRun(verb string) (*RunFolder, error) {
	r, err := d.newRun(verb)
	if err != nil {
		return nil, fmt.Errorf("making the run folder: %w", explain(err, d.Path))
	}
	return r, nil
}

func (d Dir) newRun(verb string) (*RunFolder, error) {
	if err := d.ensure(runsDir); err != nil {
		return nil, err
	}
	start := time.Now()
	path, err := d.makeRun(start, verb)
	if err != nil {
		return nil, err
	}
	r := &RunFolder{Path: path}
	for _, name := range []string{"log", "events.jsonl", "trace.json"} {
		f, err := os.OpenFile(filepath.Join(path, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.files = append(r.files, f)
	}
	r.log, r.events = run.NewRedactor(r.files[0]), r.files[1]
	r.trace = NewTrace(r.files[2], start)
	return r, d.pruneRuns()
}

// makeRun finds a name that no other run of this second has.
func (d Dir) makeRun(start time.Time, verb string) (string, error) {
	name := filepath.Join(d.Path, runsDir, start.UTC().Format(runTime)+"-"+verb)
	path := name
	for n := 2; ; n++ {
		err := os.Mkdir(path, 0o700)
		if !errors.Is(err, fs.ErrExist) {
			return path, err
		}
		path = fmt.Sprintf("%s-%d", name, n)
	}
}

func (d Dir) pruneRuns() error {
	entries, err := os.ReadDir(filepath.Join(d.Path, runsDir))
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && runForm.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	var errs []error
	for _, name := range names[:max(0, len(names)-keepRuns)] {
		errs = append(errs, os.RemoveAll(filepath.Join(d.Path, runsDir, name)))
	}
	return errors.Join(errs...)
}

// Log is where the debug log goes. Lines appear when they are complete.
func (r *RunFolder) Log() io.Writer { return r.log }

// LogPath is the path of the log, which ends every failure's message.
func (r *RunFolder) LogPath() string { return filepath.Join(r.Path, "log") }

// Journal appends v as one line of JSON to a file of the folder that is there for good once this
// returns, also when the machine is switched off then.
func (r *RunFolder) Journal(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	f, err := os.OpenFile(filepath.Join(r.Path, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.Write(append(data, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// Event appends v as one line of JSON to events.jsonl.
func (r *RunFolder) Event(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("recording an event: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.events.Write(append(run.RedactJSON(data), '\n')); err != nil {
		return fmt.Errorf("recording an event: %w", explain(err, r.Path))
	}
	return nil
}

// Trace is where the run's spans go.
func (r *RunFolder) Trace() *Trace { return r.trace }

// Close writes what is held back and closes the files. Calling it twice is fine.
func (r *RunFolder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	var errs []error
	if r.log != nil {
		errs = append(errs, r.log.Close())
	}
	if r.trace != nil {
		errs = append(errs, r.trace.Close())
	}
	for _, f := range r.files {
		errs = append(errs, f.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the run folder: %w", explain(err, r.Path))
	}
	return nil
}
