// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/meshfed/meshfed/verify"
)

// Measures of the card in CSS pixels.
const (
	cardTop  = 100
	cardLine = 24
	// cardPairs are as many ordered pairs as have a line of their own; of more, the marks stand in
	// a square.
	cardPairs = 12
	// cardSquare is as many clusters as a square has room for.
	cardSquare = 40
	cardMargin = 22
	// cardLeast is the narrowest card.
	cardLeast = 440
	// cardName is as many letters as the name of a mesh or cluster has room for.
	cardName = 22
)

// card is what the small picture shows.
type card struct {
	Name, Counted, From                            string
	Verdict                                        status
	Width, Height, Inner, InnerHeight, Right, Foot int
	Texts                                          []text
}

// text is some words at a place.
type text struct {
	Class, Text, Anchor string
	X, Y                int
}

// Card is the verdict, the matrix and the counts as a small SVG picture, readable on light and
// dark pages. It fetches nothing.
func Card(r *verify.Report) ([]byte, error) {
	c := card{Name: cut(r.Topology, cardName), Counted: printable(r.Counted()), Verdict: verdictOf(r), Width: cardLeast}
	c.From = r.Started()
	if r.Tool != "" {
		c.From = cut(r.By(), 40) + " · " + c.From
	}
	bottom := cardTop
	if all := r.Tally(); len(all) > cardPairs {
		bottom = c.square(r, all)
	} else if len(all) > 0 {
		bottom = c.lines(r, all)
	}
	c.Foot = bottom + 16
	c.Height = c.Foot + 18
	c.Inner, c.InnerHeight, c.Right = c.Width-1, c.Height-1, c.Width-cardMargin
	t, err := templates()
	if err != nil {
		return nil, err
	}
	return execute(t, "card.tmpl", c)
}

// lines has one line for each pair and one column for each suite; it returns where they end.
func (c *card) lines(r *verify.Report, tally verify.Tally) int {
	const letter = 7 // a little more than the mean width at this size
	left := 0
	for _, name := range r.Clusters {
		left = max(left, 2*letter*min(len(name), cardName))
	}
	x := cardMargin + left + 60
	var columns []int
	for _, suite := range r.Suites {
		width := letter*len(suite) + 16
		columns = append(columns, x+width/2)
		c.add("o s", suite, "middle", x+width/2, cardTop)
		x += width
	}
	c.Width = max(cardLeast, x+cardMargin-8)
	y := cardTop
	for _, from := range r.Clusters {
		for _, to := range r.Clusters {
			if from == to {
				continue
			}
			y += cardLine
			c.add("i", cut(from, cardName)+" → "+cut(to, cardName), "", cardMargin, y)
			for i, suite := range r.Suites {
				s, _ := tally.Cell(suite, from, to)
				c.add("m "+of(s).Name, of(s).Mark, "middle", columns[i], y)
			}
		}
	}
	return y + cardLine
}

// square has one mark for each pair; it returns where it ends.
func (c *card) square(r *verify.Report, tally verify.Tally) int {
	passed, y := 0, cardTop
	const step = 17
	for i, from := range r.Clusters {
		if i < cardSquare {
			y += step
		}
		for k, to := range r.Clusters {
			if from == to {
				continue
			}
			worst, _, _ := tally.Pair(r.Suites, from, to)
			if worst == verify.Pass {
				passed++
			}
			if i < cardSquare && k < cardSquare {
				c.add("m s "+of(worst).Name, of(worst).Mark, "middle", cardMargin+8+step*k, y)
			}
		}
	}
	c.add("i", fmt.Sprintf("%d of %d ordered pairs passed, %d clusters", passed, len(tally), len(r.Clusters)), "", cardMargin, cardTop)
	c.Width = max(cardLeast, 2*cardMargin+step*min(cardSquare, len(r.Clusters)))
	return y + cardLine
}

func (c *card) add(class, words, anchor string, x, y int) {
	c.Texts = append(c.Texts, text{class, printable(words), anchor, x, y})
}

// cut leaves as many letters as there is room for.
func cut(name string, letters int) string {
	if all := []rune(printable(name)); len(all) > letters {
		return string(all[:letters-1]) + "…"
	}
	return printable(name)
}

// printable leaves out what XML does not take.
func printable(words string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(words, "?"))
}
