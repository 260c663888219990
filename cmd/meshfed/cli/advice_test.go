// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestAdviceIsTrue: every command line that the program tells its users to type is one that it
// takes. What hints and messages put into backquotes is found in the sources.
func TestAdviceIsTrue(t *testing.T) {
	t.Parallel()
	found := 0
	for _, dir := range []string{"cmd", "internal", "install", "federation", "verify", "topology", "certs"} {
		err := filepath.WalkDir(filepath.Join("../../..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil || !bytes.Contains(data, []byte("`meshfed ")) {
				return err
			}
			files := token.NewFileSet()
			source, err := parser.ParseFile(files, path, data, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for at, line := range advice(source) {
				found++
				if err := typed(line); err != nil {
					t.Errorf("%s: `%s`: %v", files.Position(at), line, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 40 {
		t.Errorf("%d command lines, want at least 40: does the test still find them?", found)
	}
}

// TestAdviceFindsWhatIsWrong: the test above sees what the program does not take.
func TestAdviceFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for source, wrong := range map[string]bool{
		"\"run `meshfed up`\"":                               false,
		"\"`meshfed up -f \" + file + \"` goes on\"":         false,
		"\"`meshfed %s` is not built yet\"":                  false,
		"\"`meshfed each -- kubectl get nodes`\"":            false,
		"\"`meshfed help` lists the commands\"":              false,
		"\"`meshfed bundle build`, `meshfed bundle pull`\"":  false,
		"\"`meshfed nosuch` is what you want\"":              true,
		"\"fine: `meshfed up`; not: `meshfed up --nosuch`\"": true,
		"\"`meshfed bundle push --mirror registry/path`\"":   true,
		"\"`meshfed inspect` names it\"":                     true,
		"\"`meshfed bundle nosuch`\"":                        true,
		"\"`meshfed \" + verb + \" --nosuch`\"":              false, // which verb that is, nobody knows here
		"\"`meshfed up --\" + name + \"`\"":                  false,
		"\"`meshfed \" +\n\"nosuch`\"":                       true,
		"\"`meshfed \" +\n\"up`\"":                           false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n\nvar x = "+source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		var errs []error
		for _, line := range advice(file) {
			if err := typed(line); err != nil {
				errs = append(errs, err)
			}
		}
		if (len(errs) > 0) != wrong {
			t.Errorf("%s: %v", source, errs)
		}
	}
}

// unknown stands in a text for what is known only when the program runs.
const unknown = "UNKNOWN"

// advice are the command lines of meshfed that stand in backquotes in a file's texts, by where
// the text begins.
func advice(file *ast.File) map[token.Pos]string {
	lines := map[token.Pos]string{}
	quoted := regexp.MustCompile("`(meshfed [^`]*)`")
	ast.Inspect(file, func(n ast.Node) bool {
		e, _ := n.(ast.Expr)
		text, _ := textOf(e)
		for i, match := range quoted.FindAllStringSubmatch(text, -1) {
			lines[e.Pos()+token.Pos(i)] = match[1]
		}
		return true // a text that is added to others may stand in the middle of a call
	})
	return lines
}

// textOf puts together what is added to a text; it is not ok where no text is added.
func textOf(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
	case *ast.BinaryExpr:
		left, isText := textOf(e.X)
		right, isTextToo := textOf(e.Y)
		return left + right, e.Op == token.ADD && (isText || isTextToo)
	}
	return unknown, false
}

// typed says what is wrong with a command line as a user would type it from a message.
func typed(line string) error {
	var words []string
	for _, word := range strings.Fields(line)[1:] {
		if word = strings.Trim(word, `'"`); word != "..." {
			words = append(words, regexp.MustCompile(`%[a-z]`).ReplaceAllString(word, unknown))
		}
	}
	if len(words) > 0 && strings.Contains(words[0], unknown) {
		return nil
	}
	for i, word := range words {
		if strings.HasPrefix(word, "-") && strings.Contains(word, unknown) {
			words = words[:i]
			break
		}
	}
	return parses(words)
}
