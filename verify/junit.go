// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements of JUnit's XML as CI systems read them: those of the xunit schema of Jenkins
// that GitHub, GitLab, Azure and Maven readers know, too.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Time     junitTime    `xml:"time,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       junitTime       `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    junitTime     `xml:"time,attr"`
		Skipped *junitVerdict `xml:"skipped"`
		Error   *junitVerdict `xml:"error"`
		Failure *junitVerdict `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitVerdict struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// junitTime are seconds as the schema wants them: no exponent, three places.
type junitTime float64

// MarshalText implements encoding.TextMarshaler.
func (t junitTime) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%.3f", float64(t)), nil }

// JUnit writes the report as JUnit XML: a test suite for each suite, a test case for each
// result and, so that the names are the same in each run, one for the coverage of each ordered
// pair. What failed is a failure, what is inconclusive an error.
func (r *Report) JUnit(w io.Writer) error {
	doc := junitSuites{Name: "meshfed " + r.Topology, Time: junitTime(r.DurationSeconds)}
	for _, suite := range r.Suites {
		one := r.junitSuite(suite)
		doc.Tests += one.Tests
		doc.Failures += one.Failures
		doc.Errors += one.Errors
		doc.Suites = append(doc.Suites, one)
	}
	data, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report as JUnit XML: %w", err)
	}
	if _, err := io.WriteString(w, xml.Header+string(data)+"\n"); err != nil {
		return fmt.Errorf("writing the report as JUnit XML: %w", err)
	}
	return nil
}

func (r *Report) junitSuite(suite string) junitSuite {
	one := junitSuite{
		Name: suite, Timestamp: r.StartedAt.UTC().Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{{"topology", r.Topology}},
	}
	if r.Tool != "" {
		one.Properties = append(one.Properties, junitProperty{"tool", r.Tool})
	}
	for _, s := range r.Substitutions {
		one.Properties = append(one.Properties, junitProperty{"substitution", s})
	}
	for _, s := range r.Restored {
		one.Properties = append(one.Properties, junitProperty{"restored", s})
	}
	for _, row := range r.rows(suite) {
		one.Tests++
		// Results of one suite rest on observations that were made side by side.
		one.Time = max(one.Time, junitTime(row.DurationSeconds))
		c := junitCase{Name: row.name, Class: "meshfed." + suite, Time: junitTime(row.DurationSeconds)}
		v := &junitVerdict{Message: row.Message, Type: or(row.Code, string(row.Status)), Text: row.detail()}
		switch row.Status {
		case Fail:
			one.Failures++
			c.Failure = v
		case Inconclusive:
			one.Errors++
			c.Error = v
		case Skip:
			one.Skipped++
			c.Skipped = &junitVerdict{Message: row.Message}
		case Warn:
			c.Out = row.detail()
		}
		one.Cases = append(one.Cases, c)
	}
	return one
}

// detail is everything that a result has to say, for people.
func (r Result) detail() string {
	lines := []string{string(r.Status) + ": " + r.Line()}
	if see := r.See(); see != "" {
		lines = append(lines, "see: "+see)
	}
	for _, k := range r.Evidence.Keys() {
		data, err := json.Marshal(r.Evidence[k])
		if err != nil {
			data = []byte("?")
		}
		lines = append(lines, k+": "+string(data))
	}
	return strings.Join(lines, "\n")
}
