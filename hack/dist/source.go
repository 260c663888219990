// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/version"
)

// source is the commit that is released.
type source struct {
	// number is the release, without a leading v.
	number string
	// commit is its short name, with -dirty when files differ from it.
	commit string
	// date is when it was committed, which is the time of everything in the release.
	date time.Time
}

// when is the date as the linker gets it.
func (s source) when() string { return s.date.UTC().Format(time.RFC3339) }

// findSource asks git. number may be empty.
func findSource(ctx context.Context, number string) (source, error) {
	commit, err := git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return source{}, err
	}
	seconds, err := git(ctx, "show", "--no-patch", "--format=%ct", "HEAD")
	if err != nil {
		return source{}, err
	}
	when, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return source{}, fmt.Errorf("reading the date of commit %s: %w", commit, err)
	}
	s := source{number: number, commit: commit[:12], date: time.Unix(when, 0).UTC()}
	changed, err := git(ctx, "status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return source{}, err
	}
	if changed != "" {
		s.commit += "-dirty"
		fmt.Fprintln(os.Stderr, "warning: files differ from the commit: this can not be made again elsewhere")
	}
	if s.number == "" {
		s.number = version.Number
		if tag, err := git(ctx, "describe", "--exact-match", "--tags", "--match", "v*", "HEAD"); err == nil {
			s.number = tag
		}
	}
	s.number = strings.TrimPrefix(s.number, "v")
	if !regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(s.number) {
		return source{}, fmt.Errorf("release number %q: want one such as 1.2.3 or 1.2.3-rc.1", s.number)
	}
	return s, nil
}

func git(ctx context.Context, args ...string) (string, error) {
	return run.Command{Name: "git", Args: args}.Output(ctx)
}
