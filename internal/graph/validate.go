// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Validate reports everything that makes a list of steps impossible to run: an ID that
// is empty or used twice, a need that is not in the list, a circle, a missing function.
// All problems are joined. It is pure.
func Validate(steps []Step) error {
	var problems []error
	ids := make(map[string]bool, len(steps))
	for i, s := range steps {
		switch {
		case s.ID == "":
			problems = append(problems, fmt.Errorf("step number %d has no ID", i+1))
		case ids[s.ID]:
			problems = append(problems, fmt.Errorf("step %q is listed twice", s.ID))
		case s.Look == nil || s.Do == nil:
			problems = append(problems, fmt.Errorf("step %q lacks Look or Do", s.ID))
		}
		ids[s.ID] = true
	}
	for _, s := range steps {
		for _, need := range s.Needs {
			if !ids[need] {
				problems = append(problems, fmt.Errorf("step %q needs %q, which is not in the list", s.ID, need))
			}
		}
	}
	if len(problems) == 0 {
		if circle := findCircle(steps); circle != nil {
			problems = append(problems, fmt.Errorf("steps need one another in a circle: %s", strings.Join(circle, " -> ")))
		}
	}
	return errors.Join(problems...)
}

// findCircle returns one circle of needs, its first ID repeated at the end, or nil.
func findCircle(steps []Step) []string {
	needs := make(map[string][]string, len(steps))
	for _, s := range steps {
		needs[s.ID] = s.Needs
	}
	finished := make(map[string]bool, len(steps))
	var path []string
	var visit func(id string) []string
	visit = func(id string) []string {
		if finished[id] {
			return nil
		}
		if at := slices.Index(path, id); at >= 0 {
			return append(slices.Clone(path[at:]), id)
		}
		path = append(path, id)
		for _, need := range needs[id] {
			if circle := visit(need); circle != nil {
				return circle
			}
		}
		path = path[:len(path)-1]
		finished[id] = true
		return nil
	}
	for _, s := range steps {
		if circle := visit(s.ID); circle != nil {
			return circle
		}
	}
	return nil
}
