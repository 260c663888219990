// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/verify"
)

// Measures of the drawing, in its own units: one is a CSS pixel where there is room.
const (
	boxLeft, boxWidth = 16, 232
	// boxHeight has room for three lines, boxLow for one.
	boxHeight, boxLow = 66, 34
	boxGap            = 10
	netTop, netBottom = 26, 10
	netGap            = 14
	// bulge is how far the arcs to the right of the boxes go.
	bulge = 84
	// drawnArcs are as many as can be told apart.
	drawnArcs = 60
	// letters of a name that fit into a box.
	letters = 28
)

// drawing is the mesh: networks around clusters, and arcs for who knows whom.
type drawing struct {
	Width, Height int
	Nets          []netBox
	Boxes         []memberBox
	Arcs          []arc
	// Everyone says that every cluster knows every other.
	Everyone bool
	Members  []verify.Member
}

type netBox struct {
	Name, Full string
	Y, Height  int
}

type memberBox struct {
	Name, Full, Place, Gateway string
	Y, Height                  int
	Remote, External, Ingress  bool
	// Lines below the name, with their places.
	Lines []line
}

type line struct {
	Text string
	Y    int
}

// arc is one cluster that knows another, or two that know each other.
type arc struct {
	Path string
	Both bool
	Text string
}

// drawingOf is nil for a report that does not say how the mesh is laid out.
func drawingOf(r *verify.Report) *drawing {
	if len(r.Members) == 0 {
		return nil
	}
	d := &drawing{Members: r.Members, Width: boxLeft + boxWidth + 8 + bulge, Everyone: everyone(r.Members)}
	low := len(r.Members) > 8
	middle := map[string]int{}
	y := 4
	for _, network := range networks(r.Members) {
		top := y
		y += netTop
		for _, m := range r.Members {
			if m.Network != network {
				continue
			}
			b := boxOf(m, y, low)
			d.Boxes = append(d.Boxes, b)
			middle[m.Name] = y + b.Height/2
			y += b.Height + boxGap
		}
		y += netBottom - boxGap
		d.Nets = append(d.Nets, netBox{shortened(network), network, top, y - top})
		y += netGap
	}
	d.Height = y - netGap + 4
	d.arcs(middle)
	return d
}

// networks in the order of their first member.
func networks(members []verify.Member) []string {
	var all []string
	for _, m := range members {
		if !slices.Contains(all, m.Network) {
			all = append(all, m.Network)
		}
	}
	return all
}

func boxOf(m verify.Member, y int, low bool) memberBox {
	b := memberBox{Name: shortened(m.Name), Full: m.Name, Y: y, Height: boxHeight, External: !m.Workloads, Remote: m.Primary != m.Name, Ingress: m.Ingress}
	b.Place = strings.Trim(m.Region+"/"+m.Zone, "/")
	if m.EastWest {
		b.Gateway = "east-west gateway"
		if len(m.Addresses) > 0 {
			b.Gateway = "gateway " + m.Addresses[0]
		}
	}
	if low {
		b.Height = boxLow
		return b
	}
	for _, text := range []string{b.Place, b.role(m), b.Gateway} {
		if text != "" && len(b.Lines) < 2 {
			b.Lines = append(b.Lines, line{shortened(text), y + 38 + 17*len(b.Lines)})
		}
	}
	return b
}

// role is what a cluster is if it is no plain primary.
func (b memberBox) role(m verify.Member) string {
	switch {
	case b.External:
		return "control plane only"
	case b.Remote:
		return "served by " + m.Primary
	}
	return ""
}

func everyone(members []verify.Member) bool {
	n := 0
	for _, m := range members {
		if m.Workloads {
			n++
		}
	}
	return n > 1 && !slices.ContainsFunc(members, func(m verify.Member) bool { return m.Workloads && len(m.Knows) != n-1 })
}

// arcs join those who know each other; one that is known without knowing gets the arrow alone.
func (d *drawing) arcs(middle map[string]int) {
	knows := func(a, b verify.Member) bool { return slices.Contains(a.Knows, b.Name) }
	for i := range d.Members {
		for k, b := range d.Members[i+1:] {
			a := d.Members[i]
			there, back := knows(a, b), knows(b, a)
			if !there && !back {
				continue
			}
			if !there {
				a, b = b, a
			}
			out := min(bulge, 44+14*k)
			x := boxLeft + boxWidth + 2
			text := a.Name + " knows " + b.Name
			if there && back {
				text = a.Name + " and " + b.Name + " know each other"
			}
			d.Arcs = append(d.Arcs, arc{
				Path: fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x, middle[a.Name], x+out, middle[a.Name], x+out, middle[b.Name], x, middle[b.Name]),
				Both: there && back, Text: text,
			})
		}
	}
	if len(d.Arcs) > drawnArcs && d.Everyone {
		d.Arcs = nil
	}
}

// shortened leaves as many letters of a name as a box has room for.
func shortened(name string) string {
	all := []rune(name)
	if len(all) <= letters {
		return name
	}
	return string(all[:letters-1]) + "…"
}
