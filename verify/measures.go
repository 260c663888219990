// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"fmt"
	"math"
)

// measure is a figure in the evidence of a check that is compared, less being better.
type measure struct {
	check, key, words string
	// lost: requests and not seconds.
	lost bool
}

// measures lists the figures that are compared. Durations of checks are not among them: they are
// those of the machine.
func measures() []measure {
	return []measure{
		{check: "failover-switch", key: "firstSeconds", words: "first answer from elsewhere"},
		{check: "failover-switch", key: "steadySeconds", words: "steady answers from elsewhere"},
		{check: "failover-lost", key: "lost", words: "requests lost", lost: true},
		{check: "failover-back", key: "backSeconds", words: "local answers again"},
	}
}

// measured compares one figure that both results have. What never came is told by the status.
func (c *comparison) measured(m measure, before, after Result) {
	old, had := figure(before.Evidence[m.key])
	now, has := figure(after.Evidence[m.key])
	if !had || !has {
		return
	}
	noise := noiseSeconds
	if rate, ok := figure(after.Evidence["rate"]); m.lost {
		if !ok {
			return // an older report: what was sent meanwhile is not known
		}
		noise *= rate
	}
	ch := about("", after)
	ch.Before, ch.After = m.say(old), m.say(now)
	ch.Message = fmt.Sprintf("%s: %s, was %s", m.words, ch.After, ch.Before)
	switch {
	case now-old > noise && now > old*c.limit.Factor:
		ch.Kind, ch.Regression = Slower, true
		if m.lost {
			ch.Kind = MoreLost
		}
	case old-now > noise && old > now*c.limit.Factor:
		ch.Kind = Faster
		if m.lost {
			ch.Kind = FewerLost
		}
	default:
		return
	}
	c.changes = append(c.changes, ch)
}

func (m measure) say(v float64) string {
	if m.lost {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f s", v)
}

// figure is a number as this process made it or as JSON brought it; false for everything else.
func figure(v any) (float64, bool) {
	var f float64
	switch n := v.(type) {
	case float64:
		f = n
	case int:
		f = float64(n)
	case json.Number:
		var err error
		if f, err = n.Float64(); err != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	return f, !math.IsNaN(f) && !math.IsInf(f, 0) && f >= 0
}
