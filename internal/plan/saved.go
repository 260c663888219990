// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/topology"
)

// SavedFormat is the version of the file that `plan --out` writes. It is raised when an older
// program would do something else with a newer file than what it says.
const SavedFormat = 1

// Saved is a plan to be done later, and only if nothing has moved until then. Values of secrets
// are in it as fingerprints, as in every plan.
type Saved struct {
	// Format is SavedFormat.
	Format int `json:"format"`
	// Digest is of the topology file with its --set arguments and defaults.
	Digest string `json:"digest"`
	// Images says where images come from.
	Images string `json:"images"`
	// Clusters, Replace and PruneClusters are what the flags of that name said.
	Clusters      []string `json:"clusters,omitempty"`
	Replace       []string `json:"replace,omitempty"`
	PruneClusters bool     `json:"pruneClusters,omitempty"`
	// Steps are what each step saw and would do.
	Steps []SavedStep `json:"steps"`
}

// SavedStep is one step of a Saved plan, as Planned marshals it.
type SavedStep struct {
	ID      string   `json:"id"`
	Cluster string   `json:"cluster,omitempty"`
	Title   string   `json:"title"`
	Needs   []string `json:"needs"`
	graph.Change
}

// Moved is a step that sees something else than a saved plan did.
type Moved struct {
	// Step is its ID; empty for what is no step's.
	Step string
	// Was and Is say what was and is seen.
	Was, Is string
}

// digest is of a topology as its file says it, before what live clusters have recorded.
func digest(t *topology.Topology) string {
	data, err := json.Marshal(t)
	if err != nil { // it came from JSON and YAML
		return ""
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Save is the plan as it is kept. Recover must have been called.
func (m *Mesh) Save(planned []graph.Planned) Saved {
	s := Saved{
		Format: SavedFormat, Digest: m.digest, Images: m.imagesAt(),
		Clusters: m.Clusters, Replace: m.Replace, PruneClusters: m.PruneClusters, Steps: make([]SavedStep, len(planned)),
	}
	for i, p := range planned {
		s.Steps[i] = SavedStep{p.Step.ID, p.Step.Cluster, p.Step.Title, p.Step.Needs, p.Change}
	}
	return s
}

// imagesAt says where the images at hand are.
func (m *Mesh) imagesAt() string {
	if m.Bundle != nil {
		return "bundle " + m.Bundle.Dir
	}
	return m.ImagesFrom()
}

// Compare says what has moved since the plan was saved: the file, where images come from, the
// list of steps, and what each of them sees. It is pure.
func (s Saved) Compare(now Saved) []Moved {
	var moved []Moved
	if s.Digest != now.Digest {
		moved = append(moved, Moved{"", "the topology file had " + s.Digest, "it has " + now.Digest})
	}
	if s.Images != now.Images {
		moved = append(moved, Moved{"", "images came from " + s.Images, "they come from " + now.Images})
	}
	seen := make(map[string]graph.Change, len(now.Steps))
	for _, step := range now.Steps {
		seen[step.ID] = step.Change
	}
	for _, step := range s.Steps {
		change, listed := seen[step.ID]
		delete(seen, step.ID)
		switch {
		case !listed:
			moved = append(moved, Moved{step.ID, words(step.Change), "there is no such step"})
		case !sameChange(step.Change, change):
			moved = append(moved, Moved{step.ID, words(step.Change), words(change)})
		}
	}
	for _, step := range now.Steps {
		if change, added := seen[step.ID]; added {
			moved = append(moved, Moved{step.ID, "there was no such step", words(change)})
		}
	}
	return moved
}

func sameChange(a, b graph.Change) bool {
	return a.Action == b.Action && a.Reason == b.Reason && slices.EqualFunc(a.Fields, b.Fields, func(x, y graph.FieldChange) bool { return reflect.DeepEqual(x, y) })
}

// words is a change in one line, with its first fields.
func words(c graph.Change) string {
	text := string(c.Action)
	if c.Reason != "" {
		text += " (" + c.Reason + ")"
	}
	for i, f := range c.Fields {
		if i == 3 {
			text += fmt.Sprintf(" and %d more", len(c.Fields)-i)
			break
		}
		text += fmt.Sprintf(" %s: %q to %q", f.Path, f.Old, f.New)
	}
	return text
}

// Only makes steps do what the plan says and nothing else: one that was to change nothing, and
// depends on none that was to, must find nothing to do; and nothing is deleted or replaced that
// was not to be. A step that does not keep to it fails by name before it changes anything.
func (s Saved) Only(steps []graph.Step) []graph.Step {
	planned := make(map[string]graph.Change, len(s.Steps))
	for _, step := range s.Steps {
		planned[step.ID] = step.Change
	}
	follows := map[string]bool{} // needs a step that changes something
	held := make([]graph.Step, len(steps))
	for i, step := range steps {
		want := planned[step.ID]
		follows[step.ID] = slices.ContainsFunc(step.Needs, func(id string) bool { return follows[id] || planned[id].Needed() })
		free, do := follows[step.ID], step.Do
		step.Do = func(ctx context.Context, found graph.Change) error {
			takesAway := found.Action == graph.Delete || found.Action == graph.Replace
			if found.Action != want.Action && (takesAway || !free) {
				return fmt.Errorf("the plan says %s, and now it would be %s", words(want), words(found))
			}
			return do(ctx, found)
		}
		held[i] = step
	}
	return held
}
