// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

// Mark is how a check ended. Its values are those of a VerifyReport's status.
type Mark string

// The marks, best first. An empty or unknown Mark shows as Skip.
const (
	Pass         Mark = "pass"
	Warn         Mark = "warn"
	Fail         Mark = "fail"
	Inconclusive Mark = "inconclusive"
	Skip         Mark = "skip"
)

// marks lists the marks in their order, each with its symbol, the single character that
// stands for it in a grid without UTF-8, and its name in a legend.
var marks = [...]struct {
	mark   Mark
	symbol symbol
	letter string
	legend string
}{
	{Pass, symbol{"✔", "ok", green}, "+", "pass"},
	{Warn, symbol{"!", "!", cyan}, "!", "warning"},
	{Fail, symbol{"✘", "FAIL", red}, "X", "fail"},
	{Inconclusive, symbol{"?", "?", bold}, "?", "inconclusive"},
	{Skip, symbol{"-", "-", faint}, "-", "skipped"},
}

// markIndex finds a mark in marks; what is not known is Skip.
func markIndex(m Mark) int {
	for i, known := range marks {
		if known.mark == m {
			return i
		}
	}
	return len(marks) - 1
}

// letter is a mark as one character.
func (o *Output) letter(index int) symbol {
	s := marks[index].symbol
	s.ascii = marks[index].letter
	return s
}

// legend explains those marks that were seen, in whole lines.
func (o *Output) legend(seen [len(marks)]bool, symbolOf func(index int) symbol) string {
	var parts []string
	for i, known := range marks {
		if seen[i] {
			parts = append(parts, o.draw(symbolOf(i))+" "+known.legend)
		}
	}
	return flow(parts, "   ", o.columns())
}
