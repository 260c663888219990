// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
)

const (
	// Limit is what a page stays under, in bytes, whatever the mesh.
	Limit = 2_000_000
	// roomForChecks is for those that can be read without the script, roomForPacked for the
	// others; the rest of Limit is the matrix, the drawings, style and script.
	roomForChecks = 500_000
	roomForPacked = 850_000
)

// pack sorts checks into those that stand in the page and those that the script unpacks when
// they are asked for: gzip makes a twentieth of them. What needs a reader comes first, so it
// stands in the page. Where even that is too much, evidence of what passed is left out, then
// what passed.
func (v *view) pack(t *template.Template) error {
	v.Groups = groupsOf(v.Report)
	left := roomForChecks
	packed := map[string]string{}
	for i := range v.Groups {
		g := &v.Groups[i]
		stand, rest, err := split(t, g.Checks, &left)
		if err != nil {
			return err
		}
		g.Checks, g.Packed = g.Checks[:stand], len(g.Checks)-stand
		if g.Packed > 0 {
			packed[g.ID] = rest
		}
	}
	if len(packed) == 0 {
		return nil
	}
	var err error
	if v.Packed, err = squeeze(packed); err != nil || len(v.Packed) <= roomForPacked {
		return err
	}
	return v.leaveOut(t)
}

// leaveOut packs again with less.
func (v *view) leaveOut(t *template.Template) error {
	standing := map[string]int{}
	for _, g := range v.Groups {
		standing[g.ID] = len(g.Checks)
	}
	for share := 1; ; share *= 2 {
		packed := map[string]string{}
		v.Bare, v.LeftOut = true, 0
		for i, g := range groupsOf(v.Report) {
			all := g.Checks[standing[g.ID]:]
			some := all[:len(all)/share]
			v.LeftOut += len(all) - len(some)
			v.Groups[i].Packed = len(some)
			for k := range some {
				some[k].Evidence, some[k].Commands = nil, nil
			}
			room := 0
			_, rest, err := split(t, some, &room)
			if err != nil {
				return err
			}
			packed[g.ID] = rest
		}
		var err error
		if v.Packed, err = squeeze(packed); err != nil || len(v.Packed) <= roomForPacked {
			return err
		}
	}
}

// split draws checks: how many of them fit into what is left, and the text of the others.
func split(t *template.Template, checks []check, left *int) (stand int, rest string, err error) {
	var b bytes.Buffer
	full := false
	for _, c := range checks {
		text, err := execute(t, "check", c)
		if err != nil {
			return 0, "", err
		}
		if full = full || len(text) > *left; full {
			b.Write(text)
			continue
		}
		*left -= len(text)
		stand++
	}
	return stand, b.String(), nil
}

// squeeze is a JSON object of texts, as the script can unpack it.
func squeeze(texts map[string]string) (string, error) {
	data, err := json.Marshal(texts)
	if err != nil {
		return "", fmt.Errorf("packing checks: %w", err)
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return "", fmt.Errorf("packing checks: %w", err)
	}
	if _, err := z.Write(data); err != nil {
		return "", fmt.Errorf("packing checks: %w", err)
	}
	if err := z.Close(); err != nil {
		return "", fmt.Errorf("packing checks: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b.Bytes()), nil
}
