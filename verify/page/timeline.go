// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/verify"
)

const (
	// timelineKey is the evidence that a figure is drawn of.
	timelineKey = "timeline"
	// lostSeries is the key in it of requests that nobody answered, and their colour.
	lostSeries = "lost"
	// roomForFigures bounds their drawings in bytes.
	roomForFigures = 300_000
)

// timeline is a load over time, read from evidence.
type timeline struct {
	// bucket is the width of one count in seconds.
	bucket float64
	// fault and repair in seconds from the start; repair is 0 when there was none.
	fault, repair float64
	// buckets is the length of the longest series.
	buckets int
	series  []series
}

// series counts the answers of one cluster, or of nobody.
type series struct {
	name   string
	lost   bool
	counts []float64
}

// timelineOf reads the time line of a result. The clusters' answers are under "answers"; reports of
// before had them beside "lost", where a cluster of that name took its place.
func timelineOf(c verify.Result) (timeline, bool) {
	fields, ok := c.Evidence[timelineKey].(map[string]any)
	width, _ := fields["bucketMilliseconds"].(float64)
	if !ok || width <= 0 {
		return timeline{}, false
	}
	t := timeline{bucket: width / 1000}
	t.fault, _ = fields["faultAt"].(float64)
	t.repair, _ = fields["repairAt"].(float64)
	answers, _ := fields["answers"].(map[string]any)
	for name, value := range answers {
		t.add(series{name: name}, value)
	}
	for name, value := range fields {
		lost := series{name: name, lost: name == lostSeries}
		if _, cluster := answers[name]; lost.lost && cluster {
			lost.name = "lost requests"
		}
		t.add(lost, value)
	}
	// The caller's own cluster at the bottom, the lost ones on top.
	rank := func(s series) int {
		switch {
		case s.lost:
			return 3
		case s.name == c.From:
			return 0
		case s.name == c.To:
			return 1
		}
		return 2
	}
	slices.SortFunc(t.series, func(a, b series) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	return t, t.buckets > 0
}

// add takes over a list of numbers; anything else is no series.
func (t *timeline) add(s series, value any) {
	list, ok := value.([]any)
	if !ok {
		return
	}
	for _, one := range list {
		n, _ := one.(float64)
		s.counts = append(s.counts, n)
	}
	t.buckets = max(t.buckets, len(s.counts))
	t.series = append(t.series, s)
}

// at is the count of a bucket, 0 beyond the end.
func (s series) at(i int) float64 {
	if i < len(s.counts) {
		return s.counts[i]
	}
	return 0
}

func (s series) sum() float64 {
	total := 0.0
	for _, n := range s.counts {
		total += n
	}
	return total
}

// figure is a time line drawn, with what was judged of it.
type figure struct {
	ID, From, To, Variant string
	// Facts say what the fault was, which retries callers had, and the rate.
	Facts   []string
	Checks  []check
	Buckets int
	// Bands in the order in which they are drawn, Legend in that of reading.
	Bands, Legend []band
	Ticks         []tick
	// Fault and Repair are places on the time axis, empty when there was none; FaultAt and
	// RepairAt the same in seconds.
	Fault, Repair, Under string
	FaultAt, RepairAt    string
	// Lost are the places of buckets with requests that nobody answered.
	Lost []string
	Text string
}

// band is one series; the later ones lie over the earlier.
type band struct {
	Name, Class, Path string
	Total             int
	// Label is where its name stands, empty when it has no room.
	Label string
}

type tick struct{ At, Text string }

func figureID(c verify.Result) string { return "f-" + anchor(c.From, c.To, c.Variant) }

// figuresOf draws the time lines, those with a check that did not pass first when there is no
// room for all; then it says how many are left out.
func figuresOf(r *verify.Report) (drawn []figure, leftOut int) {
	about := func(c verify.Result) [4]string { return [4]string{c.Suite, c.From, c.To, c.Variant} }
	checks := map[[4]string][]check{}
	var lines []verify.Result // results with a time line
	for _, c := range r.Checks {
		checks[about(c)] = append(checks[about(c)], check{Result: c, Status: of(c.Status)})
		if _, ok := c.Evidence[timelineKey]; ok {
			lines = append(lines, c)
		}
	}
	worst := func(c verify.Result) int {
		return slices.IndexFunc(statuses(), func(s status) bool {
			return slices.ContainsFunc(checks[about(c)], func(c check) bool { return c.Status.Name == s.Name })
		})
	}
	slices.SortStableFunc(lines, func(a, b verify.Result) int { return worst(a) - worst(b) })
	room := roomForFigures
	for _, c := range lines {
		t, ok := timelineOf(c)
		switch {
		case !ok:
		case room < 0:
			leftOut++
		default:
			f := t.figure(c, t.classes(r.Clusters))
			f.Checks = checks[about(c)]
			if room -= f.size(); room < 0 {
				leftOut++
				continue
			}
			drawn = append(drawn, f)
		}
	}
	return drawn, leftOut
}

// size is about what a figure takes in the page.
func (f figure) size() int {
	n := 2500 + 40*len(f.Lost)
	for _, b := range f.Bands {
		n += len(b.Path) + 200
	}
	for _, c := range f.Checks {
		n += len(c.Message) + 200
	}
	return n
}

// classes are the colours of the series: a cluster has the same one in every figure, as long as
// there are enough of them.
func (t timeline) classes(clusters []string) []string {
	const colours = 4
	var all []string
	for k, s := range t.series {
		i := slices.Index(clusters, s.name)
		if i < 0 || len(clusters) > colours {
			i = k
		}
		class := fmt.Sprintf("s%d", i%colours)
		if s.lost {
			class = lostSeries
		}
		all = append(all, class)
	}
	return all
}

func (t timeline) figure(c verify.Result, classes []string) figure {
	end := float64(t.buckets) * t.bucket
	f := figure{ID: figureID(c), From: c.From, To: c.To, Variant: c.Variant, Buckets: t.buckets}
	policy, _ := c.Evidence["policy"].(map[string]any)
	if fault, ok := policy["fault"].(string); ok {
		f.Facts = append(f.Facts, fault)
	}
	if retries, ok := policy["retries"].(string); ok {
		f.Facts = append(f.Facts, "retries: "+retries)
	}
	if rate, ok := c.Evidence["rate"].(float64); ok {
		f.Facts = append(f.Facts, number(rate)+" requests a second")
	}
	if t.fault > 0 {
		f.Fault, f.FaultAt, f.Under = percent(t.fault, end), seconds(t.fault), percent(max(0, min(end, or(t.repair, end))-t.fault), end)
	}
	if t.repair > 0 {
		f.Repair, f.RepairAt = percent(t.repair, end), seconds(t.repair)
	}
	step := t.step(end)
	for at := 0.0; at <= end; at += step {
		f.Ticks = append(f.Ticks, tick{percent(at, end), number(at)})
	}
	f.Legend, f.Text = t.bands(classes)
	f.Bands = slices.Clone(f.Legend)
	slices.Reverse(f.Bands)
	for _, s := range t.series {
		for i := range s.counts {
			if s.lost && s.counts[i] > 0 {
				f.Lost = append(f.Lost, percent(float64(i), float64(t.buckets)))
			}
		}
	}
	return f
}

func or(a, b float64) float64 {
	if a > 0 {
		return a
	}
	return b
}

// step between ticks: at most seven of them, so that they are apart on a phone.
func (t timeline) step(end float64) float64 {
	for _, s := range []float64{0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300} {
		if end/s <= 7 {
			return s
		}
	}
	return math.Ceil(end / 6)
}

// bands are the shares of the series, stacked. Each is one line and all below it: the highest is
// to be drawn first and the others over it.
func (t timeline) bands(classes []string) ([]band, string) {
	var all []band
	var words []string
	total, below := make([]float64, t.buckets), make([]float64, t.buckets)
	for i := range total {
		for _, s := range t.series {
			total[i] += s.at(i)
		}
	}
	for k, s := range t.series {
		b := band{Name: s.name, Class: classes[k], Total: int(s.sum())}
		b.Label = s.label(total)
		var path strings.Builder
		last := -1.0
		path.WriteString("M0 100")
		for i := range total {
			below[i] += s.at(i)
			y := 100.0
			if total[i] > 0 {
				y = 100 - 100*below[i]/total[i]
			}
			if y = math.Round(y*10) / 10; y != last {
				fmt.Fprintf(&path, "H%dV%s", i, number(y))
				last = y
			}
		}
		fmt.Fprintf(&path, "H%dV100z", t.buckets)
		b.Path = path.String()
		words = append(words, fmt.Sprintf("%s %d", s.name, b.Total))
		all = append(all, b)
	}
	return all, strings.Join(words, ", ")
}

// label is the middle of the longest time in which most answers are of the series; empty when
// its name has no room there.
func (s series) label(total []float64) string {
	best, from, run := 0, 0, 0
	for i := range total {
		if total[i] == 0 || s.at(i)*2 < total[i] {
			run = 0
			continue
		}
		if run++; run > best {
			best, from = run, i-run+1
		}
	}
	// On a phone the plot has 340 pixels, and a letter takes 8 of them.
	if best*340 < 8*len(s.name)*len(total) {
		return ""
	}
	return percent(float64(from)+float64(best)/2, float64(len(total)))
}
