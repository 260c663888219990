// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"github.com/meshfed/meshfed/verify"
)

//go:embed page.tmpl card.tmpl page.css page.js
var files embed.FS

// view is what the page shows.
type view struct {
	*verify.Report
	Verdict status
	Counts  []count
	Matrix  matrix
	Groups  []group
	// All is how many checks there are, LeftOut how many of them had no room.
	All, LeftOut int
	// Bare says that evidence of what passed had no room.
	Bare    bool
	Drawing *drawing
	Figures []figure
	// MoreFigures had no room.
	MoreFigures int
	Steps       *waterfall

	CSS    template.CSS
	JS     template.JS
	Policy string
	Packed string
}

// count is how many checks ended in one way.
type count struct {
	Status status
	N      int
}

// HTML is the report as one page, under Limit bytes for meshes of up to a hundred clusters. It blocks for as long as drawing takes, a
// second or two for a mesh of dozens of clusters, and is the same for the same report.
func HTML(r *verify.Report) ([]byte, error) {
	r, err := plain(r)
	if err != nil {
		return nil, err
	}
	css, js, err := assets()
	if err != nil {
		return nil, err
	}
	v := view{
		Report: r, Verdict: verdictOf(r), Counts: countsOf(r), Matrix: matrixOf(r), All: len(r.Checks),
		Drawing: drawingOf(r), Steps: waterfallOf(r.Steps),
		CSS: template.CSS(css), JS: template.JS(js), //nolint:gosec // our own files
		Policy: fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src data:; base-uri 'none'; form-action 'none'", digest(css), digest(js)),
	}
	v.Figures, v.MoreFigures = figuresOf(r)
	t, err := templates()
	if err != nil {
		return nil, err
	}
	if err := v.pack(t); err != nil {
		return nil, err
	}
	data, err := execute(t, "page.tmpl", v)
	if err == nil && len(data) >= Limit { // a table of hundreds of clusters is for nobody
		v.Matrix.Rows = nil
		return execute(t, "page.tmpl", v)
	}
	return data, err
}

// plain is the report as it is read back from JSON: evidence then has the same types whether
// the report comes from a run or from a file.
func plain(r *verify.Report) (*verify.Report, error) {
	data, err := r.JSON()
	if err != nil {
		return nil, err
	}
	var same verify.Report
	if err := json.Unmarshal(data, &same); err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	return &same, nil
}

func templates() (*template.Template, error) {
	t, err := template.New("").Funcs(template.FuncMap{"seconds": seconds, "lower": strings.ToLower}).ParseFS(files, "*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("reading the page's template: %w", err)
	}
	return t, nil
}

func execute(t *template.Template, name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("drawing the report: %w", err)
	}
	return b.Bytes(), nil
}

// assets are the style and the script, without the header of their files.
func assets() (css, js string, err error) {
	for name, text := range map[string]*string{"page.css": &css, "page.js": &js} {
		data, err := files.ReadFile(name)
		if err != nil {
			return "", "", fmt.Errorf("reading %s: %w", name, err)
		}
		_, rest, _ := strings.Cut(string(data), "\n\n")
		*text = "\n" + rest
	}
	return css, js, nil
}

// digest is how a content security policy names a text that may be used.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// seconds with as many places as a reader has use for.
func seconds(s float64) string {
	switch {
	case s >= 100:
		return strconv.Itoa(int(s/60)) + " min " + strconv.Itoa(int(s)%60) + " s"
	case s >= 10:
		return strconv.FormatFloat(s, 'f', 0, 64) + " s"
	}
	return strconv.FormatFloat(s, 'f', 1, 64) + " s"
}

// percent of a whole, for places in drawings that stretch.
func percent(part, whole float64) string {
	if whole <= 0 {
		return "0%"
	}
	return number(100*part/whole) + "%"
}

// number has two places at most.
func number(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(f, 'f', 2, 64), "0"), ".")
}

// anchor is a name of several words as an id of the page. What stands between words is in none.
func anchor(words ...string) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteString("__")
		}
		for _, c := range word {
			switch {
			case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
				b.WriteRune(c)
			default:
				fmt.Fprintf(&b, "_%x", c)
			}
		}
	}
	return b.String()
}
