// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"reflect"
	"strconv"
	"strings"
)

// fields are the keys that a struct accepts, in the order of its definition.
type fields struct {
	names []string
	index map[string]int
}

func fieldsOf(t reflect.Type) fields {
	f := fields{index: map[string]int{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "-" && name != "" {
			f.names = append(f.names, name)
			f.index[name] = i
		}
	}
	return f
}

// join appends a key to a path; keys that are no words are quoted: annotations["a.io/b"].
func join(path, key string) string {
	switch {
	case key == "" || strings.ContainsFunc(key, func(r rune) bool { return !isWord(r) }):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

func isWord(r rune) bool {
	return r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// below is the one place inside a struct where a field of that name is, such as
// provider.kind.podSubnet in a cluster; of several the one that is least deep, or "" when there
// are more such.
func below(of reflect.Type, key string) string {
	type level struct {
		path string
		of   reflect.Type
	}
	for at := []level{{"", of}}; len(at) > 0; {
		var found []string
		var next []level
		for _, in := range at {
			keys := fieldsOf(in.of)
			for _, name := range keys.names {
				path, element := join(in.path, name), in.of.Field(keys.index[name]).Type
				for element.Kind() == reflect.Pointer || element.Kind() == reflect.Slice {
					if element.Kind() == reflect.Slice {
						path += "[]"
					}
					element = element.Elem()
				}
				if name == key && in.path != "" {
					found = append(found, strings.TrimSuffix(path, "[]"))
				}
				if element.Kind() == reflect.Struct {
					next = append(next, level{path, element})
				}
			}
		}
		if len(found) > 0 {
			if len(found) > 1 {
				return ""
			}
			return found[0]
		}
		at = next
	}
	return ""
}

func suggestKey(near string, known []string) string {
	if near != "" {
		return "did you mean " + near + "?"
	}
	return "known here: " + strings.Join(known, ", ")
}

func suggestValue(value string, allowed []string) string {
	if near := nearest(value, allowed); near != "" && len(allowed) > 1 {
		return "did you mean " + near + "? known: " + strings.Join(allowed, ", ")
	}
	return "write " + orList(allowed)
}

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// nearest is the candidate that was probably meant, or "" when none is close.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if max(len(word)-len(c), len(c)-len(word)) >= bestDistance {
			continue
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with the next one.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	table := make([][]int, len(x)+1)
	for i := range table {
		table[i] = make([]int, len(y)+1)
		table[i][0] = i
	}
	for j := range table[0] {
		table[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			table[i][j] = min(table[i-1][j]+1, table[i][j-1]+1, table[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				table[i][j] = min(table[i][j], table[i-2][j-2]+1)
			}
		}
	}
	return table[len(x)][len(y)]
}
