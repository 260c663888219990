// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/verify"
)

// made is a report of n clusters with some suites that no version knows; every check of every
// pair ends as ends says.
func made(n, suites int, ends func(i int) verify.Status) *verify.Report {
	r := &verify.Report{
		APIVersion: "meshfed.io/v1alpha1", Kind: verify.Kind, Tool: "meshfed 0.1.0 (abc)", Topology: "usmesh", Substitutions: []string{"one in place of another"},
		Restored:  []string{"scaled a gateway back"},
		StartedAt: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), DurationSeconds: 7.25, Summary: map[verify.Status]int{},
	}
	for i := range n {
		r.Clusters = append(r.Clusters, fmt.Sprintf("cluster-%02d", i))
	}
	for i := range suites {
		r.Suites = append(r.Suites, fmt.Sprintf("suite-%d", i))
	}
	for i, c := range r.Clusters {
		m := verify.Member{Name: c, Network: "network-" + c, Region: "us", Primary: c, Workloads: true, EastWest: true, Addresses: []string{fmt.Sprintf("10.0.0.%d", i)}}
		for _, other := range r.Clusters {
			if other != c {
				m.Knows = append(m.Knows, other)
			}
		}
		r.Members = append(r.Members, m)
	}
	for _, suite := range r.Suites {
		for _, from := range r.Clusters {
			for _, to := range r.Clusters {
				for k := range 3 {
					if from == to {
						continue
					}
					i := len(r.Checks)
					c := verify.Result{
						ID: fmt.Sprintf("%s-check-%d", suite, k), Suite: suite, From: from, To: to, Status: ends(i),
						Message: fmt.Sprintf("%d of 200 requests from %s were answered by %s", i%200, from, to), DurationSeconds: 1.5,
						Evidence: verify.Evidence{
							"see": "kubectl --context " + from + " get pods", "addresses": []string{fmt.Sprintf("10.%d.%d.%d:15443", i%250, i%241, i%7)},
							"chain": []map[string]any{{"subject": to, "fingerprint": fmt.Sprintf("%x", i*7919)}},
						},
					}
					if c.Status == verify.Fail {
						c.Code = "FED001"
					}
					r.Summary[c.Status]++
					r.Checks = append(r.Checks, c)
				}
			}
		}
	}
	return r
}

func always(s verify.Status) func(int) verify.Status { return func(int) verify.Status { return s } }

func drawn(t *testing.T, r *verify.Report) string {
	t.Helper()
	data, err := HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// unpackedOf is what the script of a page would unpack.
func unpackedOf(t *testing.T, text string) map[string]string {
	t.Helper()
	_, rest, found := strings.Cut(text, `id="packed">`)
	if !found {
		return nil
	}
	packed, _, _ := strings.Cut(rest, "<")
	data, err := base64.RawURLEncoding.DecodeString(packed)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var groups map[string]string
	if err := json.Unmarshal(plain, &groups); err != nil {
		t.Fatal(err)
	}
	return groups
}

// checksIn counts the checks that stand in some text.
func checksIn(text string) int { return strings.Count(text, `<details class="check"`) }

func TestPageHasEveryCheckWithItsEvidence(t *testing.T) {
	t.Parallel()
	r := made(2, 3, func(i int) verify.Status {
		return []verify.Status{verify.Pass, verify.Fail, verify.Warn, verify.Inconclusive, verify.Skip}[i%5]
	})
	text := drawn(t, r)
	plain := html.UnescapeString(text)
	for _, c := range r.Checks {
		for _, words := range []string{c.ID, c.Message, c.See(), c.Evidence["addresses"].([]string)[0], c.Evidence["chain"].([]map[string]any)[0]["fingerprint"].(string)} {
			if !strings.Contains(plain, words) {
				t.Errorf("%s: %q is missing", c.ID, words)
			}
		}
	}
	if n := checksIn(text); n != len(r.Checks) {
		t.Errorf("%d checks are drawn of %d", n, len(r.Checks))
	}
	for _, words := range []string{"failed", "one in place of another", "restored what a killed run had left: scaled a gateway back", "docs/checks.md#fed001", "7.2 s", "meshfed 0.1.0", "2026-11-22 08:00:00 UTC", "10.0.0.1"} {
		if !strings.Contains(plain, words) {
			t.Errorf("%q is missing", words)
		}
	}
	if fails, suite := strings.Index(text, `id="g-fail"`), strings.Index(text, `id="g-suite-suite-0"`); fails < 0 || suite < fails {
		t.Error("what failed does not come first")
	}
	if unpackedOf(t, text) != nil {
		t.Error("a small page can be read without a script, and this one packs checks")
	}
}

// TestPageIsTheSameFromAFile: evidence has other types after it was read back.
func TestPageIsTheSameFromAFile(t *testing.T) {
	t.Parallel()
	r := failing()
	data, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var read verify.Report
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if drawn(t, r) != drawn(t, &read) {
		t.Error("a report and the same report from a file are drawn differently")
	}
}

// TestPageIsBounded: whatever the mesh and however much is broken in it, and what stands in the
// page, what is packed and what is said to be left out are all there is.
func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		clusters, suites int
		status           verify.Status
		most             int // that may be left out
	}{
		{20, 9, verify.Pass, 0},
		{20, 9, verify.Fail, 0},
		{90, 1, verify.Pass, 0},
	} {
		r := made(test.clusters, test.suites, always(test.status))
		text := drawn(t, r)
		if len(text) >= Limit {
			t.Errorf("%d clusters that %s: %d bytes", test.clusters, test.status, len(text))
		}
		n := checksIn(text)
		for _, packed := range unpackedOf(t, text) {
			n += checksIn(packed)
		}
		left := 0
		if found := regexp.MustCompile(`(\d+) checks that had no room`).FindStringSubmatch(text); found != nil {
			_, _ = fmt.Sscan(found[1], &left)
		}
		if n+left != len(r.Checks) || left > test.most {
			t.Errorf("%d clusters that %s: of %d checks %d are there and %d said to be left out", test.clusters, test.status, len(r.Checks), n, left)
		}
		t.Logf("%d clusters, %d checks that %s: %d bytes, %d left out", test.clusters, len(r.Checks), test.status, len(text), left)
	}
}

// TestWhatHasNoRoomIsSaid: evidence that can not be made smaller goes first, then checks.
func TestWhatHasNoRoomIsSaid(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{})
	noise := func(n int) string {
		data := make([]byte, n)
		_, _ = random.Read(data)
		return hex.EncodeToString(data)
	}
	evidence, messages := made(12, 2, always(verify.Pass)), made(12, 2, always(verify.Pass))
	for i := range evidence.Checks {
		evidence.Checks[i].Evidence["noise"], messages.Checks[i].Message = noise(2000), noise(4000)
	}
	for name, r := range map[string]*verify.Report{"evidence": evidence, "messages": messages} {
		text := drawn(t, r)
		there := checksIn(text)
		for _, packed := range unpackedOf(t, text) {
			there += checksIn(packed)
		}
		lost := len(r.Checks) - there
		if len(text) >= Limit || (lost > 0) != (name == "messages") {
			t.Errorf("%s: %d bytes, %d of %d checks are left out", name, len(text), lost, len(r.Checks))
		}
		if !strings.Contains(text, "evidence of packed checks had no room") {
			t.Errorf("%s: it does not say that evidence is missing", name)
		}
		if says := fmt.Sprintf("%d checks that had no room", lost); (lost > 0) != strings.Contains(text, says) {
			t.Errorf("%s: it does not say %q", name, says)
		}
	}
}

// TestWhatNeedsAReaderStandsInThePage: without the script one can read what failed.
func TestWhatNeedsAReaderStandsInThePage(t *testing.T) {
	t.Parallel()
	r := made(20, 9, func(i int) verify.Status {
		if i%500 == 499 {
			return verify.Fail
		}
		return verify.Pass
	})
	text := drawn(t, r)
	if n := strings.Count(text, `<details class="check" data-status="fail"`); n != r.Summary[verify.Fail] {
		t.Errorf("%d of %d failures stand in the page", n, r.Summary[verify.Fail])
	}
	if strings.Count(text, `<td class="fail" data-codes="`) == 0 {
		t.Error("the matrix has no failure")
	}
}

// hostile is a report whose every word would do harm if it were not escaped.
func hostile() *verify.Report {
	const evil = `"'><img src=x onerror=alert(1)></script></style></title><script>alert(1)</script>{{.}}javascript:alert(1)`
	r := made(2, 1, always(verify.Fail))
	r.Topology, r.Tool, r.Substitutions, r.Clusters, r.Suites = evil, evil, []string{evil}, []string{evil + "a", evil + "b"}, []string{evil}
	for i := range r.Checks {
		c := &r.Checks[i]
		c.ID, c.Suite, c.From, c.To, c.Variant, c.Message, c.Code = evil, evil, evil+"a", evil+"b", evil, evil, evil
		c.Evidence = verify.Evidence{evil: evil, "see": evil, "deep": []any{map[string]any{evil: evil}}, "policy": map[string]any{"fault": evil, "retries": evil},
			"timeline": map[string]any{"bucketMilliseconds": 100, "faultAt": 0.1, "repairAt": 0.2, evil: []int{1, 2, 3}}}
	}
	for i := range r.Members {
		m := &r.Members[i]
		m.Name, m.Network, m.Region, m.Primary, m.Addresses, m.Knows = evil+string(rune('a'+i)), evil, evil, evil, []string{evil}, []string{evil}
	}
	r.Steps = []verify.StepTime{{ID: evil, Title: evil, Cluster: evil, Status: evil, DurationSeconds: 1}}
	return r
}

func TestHostileWordsAreOnlyWords(t *testing.T) {
	t.Parallel()
	text := drawn(t, hostile())
	card, err := Card(hostile())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"page": text, "card": string(card)} {
		for _, bad := range []string{"<img", "<script>alert", "ZgotmplZ", `"'>`} {
			if strings.Contains(text, bad) {
				t.Errorf("the %s has %q", name, bad)
			}
		}
	}
	if n := strings.Count(text, "<script"); n != 1 {
		t.Errorf("the page has %d scripts", n)
	}
	if n := strings.Count(text, "</style>"); n != 1 {
		t.Errorf("the page ends %d styles", n)
	}
}

// TestPageAllowsOnlyItself: the policy names the style and script that are there, and nothing
// else, and no address is written but in links.
func TestPageAllowsOnlyItself(t *testing.T) {
	t.Parallel()
	text := drawn(t, failing())
	between := func(from, to string) string {
		_, rest, _ := strings.Cut(text, from)
		inside, _, _ := strings.Cut(rest, to)
		return inside
	}
	policy := html.UnescapeString(between(`Content-Security-Policy" content="`, `"`))
	want := fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s';", digest(between("<style>", "</style>")), digest(between("<script>", "</script>")))
	if !strings.HasPrefix(policy, want) {
		t.Errorf("the policy is %q, want %q", policy, want)
	}
	for _, found := range regexp.MustCompile(`(\w+)="(https?:)?//`).FindAllStringSubmatch(text, -1) {
		if found[1] != "href" {
			t.Errorf("something is fetched: %s", found[0])
		}
	}
	if strings.Contains(text, " style=") {
		t.Error("the policy forbids styles in elements")
	}
}
