// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// quiet is how long the plain view is silent about a step's next state.
const quiet = 5 * time.Second

// Plain returns an observer that writes one line for each event worth a line, for those who
// want to know it all: "[ 12.3s] west   istio       created in 24.1s". The steps set the
// widths of columns.
func Plain(w io.Writer, steps []graph.Step) func(graph.Event) {
	p := newPlain(outputOf(w), steps)
	return func(e graph.Event) { p.say(e, p.text(e)) }
}

type plain struct {
	out           *Output
	cluster, step int // widths
	started       time.Time
	said          map[string]time.Time // when a step's state was last written
}

func newPlain(out *Output, steps []graph.Step) *plain {
	p := &plain{out: out, said: map[string]time.Time{}}
	for _, s := range steps {
		p.cluster = max(p.cluster, cells(s.Cluster))
		p.step = max(p.step, cells(shortID(s.ID, s.Cluster)))
	}
	return p
}

// say writes a line about an event's step; nothing when there is no text.
func (p *plain) say(e graph.Event, text string) {
	if p.started.IsZero() {
		p.started = e.Time
	}
	if text == "" {
		return
	}
	line := fmt.Sprintf("[%s] ", padLeft(Duration(e.Time.Sub(p.started)), 6))
	if p.cluster > 0 {
		line += pad(e.Cluster, p.cluster) + gap
	}
	line += pad(shortID(e.Step, e.Cluster), p.step) + gap + text
	// Progress that can't be written must not stop the work.
	_, _ = fmt.Fprintln(p.out, p.out.encoded(line))
}

func (p *plain) text(e graph.Event) string {
	switch e.Kind {
	case graph.Looked:
		if e.Change == nil || !e.Change.Needed() {
			return ""
		}
		return beginning(e)
	case graph.StateSeen:
		if said, ok := p.said[e.Step]; ok && e.Time.Sub(said) < quiet {
			return ""
		}
		p.said[e.Step] = e.Time
		return clean(e.State)
	default:
		return ending(e)
	}
}

// beginning says what is about to be done: "creating (usually 24s): not installed".
func beginning(e graph.Event) string {
	text := verb(e.Change).going
	if e.Expected > 0 {
		text += " (usually " + Clock(e.Expected) + ")"
	}
	if e.Change.Reason != "" {
		text += ": " + clean(e.Change.Reason)
	}
	return text
}

// ending says how a step ended; empty for other events.
func ending(e graph.Event) string {
	switch e.Kind {
	case graph.StepChanged:
		return verb(e.Change).done + " in " + Duration(e.Duration)
	case graph.StepUnchanged:
		return "unchanged"
	case graph.StepFailed:
		return "FAILED after " + Duration(e.Duration) + ": " + reason(e)
	case graph.StepBlocked:
		return "blocked by " + strings.Join(e.BlockedBy, ", ")
	case graph.StepInterrupted:
		if e.Duration == 0 {
			return "not started"
		}
		return "interrupted after " + Duration(e.Duration)
	}
	return ""
}

// reason is the error on one line, without the step's own name before it.
func reason(e graph.Event) string {
	if e.Err == nil {
		return ""
	}
	return strings.TrimPrefix(clean(e.Err.Error()), e.Step+": ")
}

type verbs struct{ going, done string }

func verb(c *graph.Change) verbs {
	if c == nil {
		return verbs{"changing", "done"}
	}
	switch c.Action {
	case graph.Create:
		return verbs{"creating", "created"}
	case graph.Update:
		return verbs{"updating", "updated"}
	case graph.Replace:
		return verbs{"replacing", "replaced"}
	case graph.Delete:
		return verbs{"deleting", "deleted"}
	default:
		return verbs{"changing", "done"}
	}
}

// shortID leaves out "@west" where the cluster stands beside it.
func shortID(id, cluster string) string {
	if cluster == "" {
		return id
	}
	return strings.TrimSuffix(id, "@"+cluster)
}
