// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Moment is an engine that is asked each question once: what it has is seen as it was then. It
// serves commands that only look, where two hundred clusters ask the same. What is told to a
// container, and whatever may change something, is passed on. It is safe for concurrent use.
func Moment(e Engine) Engine { return &moment{Engine: e, answers: map[string]*answerOnce{}} }

// questions are the commands whose answers are kept.
var questions = []string{"ps", "container inspect", "network inspect", "network ls", "volume ls", "volume inspect", "image inspect"}

type moment struct {
	Engine

	mu      sync.Mutex
	answers map[string]*answerOnce
}

type answerOnce struct {
	sync.Mutex
	known bool
	out   string
	err   error
}

// Run asks the engine, or gives the answer of before. That something is not there is an answer;
// other failures are not kept, since their cause may be the context of whoever asked.
func (m *moment) Run(ctx context.Context, args ...string) (string, error) {
	line := strings.Join(args, " ")
	if !slices.ContainsFunc(questions, func(q string) bool { return line == q || strings.HasPrefix(line, q+" ") }) {
		return m.Engine.Run(ctx, args...)
	}
	m.mu.Lock()
	a := m.answers[line]
	if a == nil {
		a = &answerOnce{}
		m.answers[line] = a
	}
	m.mu.Unlock()
	a.Lock()
	defer a.Unlock()
	if a.known {
		return a.out, a.err
	}
	out, err := m.Engine.Run(ctx, args...)
	a.known, a.out, a.err = err == nil || absent(err), out, err
	return out, err
}

// named lists the ids of the containers whose name matches a pattern, out of one list of all.
func (m *moment) named(ctx context.Context, pattern string) ([]string, error) {
	matches, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("reading a pattern of names: %w", err)
	}
	out, err := m.Run(ctx, "ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}")
	if err != nil {
		return nil, err
	}
	var ids []string
	for line := range strings.Lines(out) {
		// Docker writes further names, those of links, behind commas.
		id, names, _ := strings.Cut(strings.TrimSpace(line), " ")
		if slices.ContainsFunc(strings.Split(names, ","), matches.MatchString) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// listed are the ids of the containers that pass every filter.
func listed(ctx context.Context, e Engine, filters []string) ([]string, error) {
	if m, ok := e.(*moment); ok && len(filters) == 1 {
		if pattern, byName := strings.CutPrefix(filters[0], "name="); byName {
			return m.named(ctx, pattern)
		}
	}
	args := []string{"ps", "--all", "--no-trunc", "--quiet"}
	for _, f := range filters {
		args = append(args, "--filter", f)
	}
	out, err := e.Run(ctx, args...)
	return strings.Fields(out), err
}
