// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	capability = "CAP_SYS_RESOURCE"
	// capabilityBit is its number, from linux/capability.h.
	capabilityBit = 24
)

// object is a JSON object whose other fields are kept as they are.
type object = map[string]json.RawMessage

// trim rewrites the file in which the engine has written what shall run, if the host can not
// give all of it and args are to make a container or to start a process in one.
func trim(args []string) error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	if able(string(status)) {
		return nil
	}
	for i, a := range args {
		switch a {
		case "create", "run":
			dir := option(args[i+1:], "--bundle", "-b")
			return rewrite(filepath.Join(dir, "config.json"), trimSpec)
		case "exec":
			if file := option(args[i+1:], "--process", "-p"); file != "" {
				return rewrite(file, trimProcess)
			}
			return nil
		}
	}
	return nil
}

// able says whether the bounding set in /proc/<pid>/status has the capability.
func able(status string) bool {
	for line := range strings.Lines(status) {
		if hex, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err != nil || set&(1<<capabilityBit) != 0
		}
	}
	return true
}

// option is the value of an option in either form: --name value or --name=value.
func option(args []string, names ...string) string {
	for i, a := range args {
		name, value, joined := strings.Cut(a, "=")
		if !slices.Contains(names, name) {
			continue
		}
		if joined {
			return value
		}
		if i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// rewrite changes a JSON file in place: the engine has given it its owner and mode.
func rewrite(path string, change func(object) error) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := change(o); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if data, err = json.Marshal(o); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// trimSpec trims the process of a container's config.json.
func trimSpec(spec object) error {
	var process object
	if len(spec["process"]) == 0 {
		return nil
	}
	err := json.Unmarshal(spec["process"], &process)
	if err == nil {
		err = trimProcess(process)
	}
	if err == nil {
		spec["process"], err = json.Marshal(process)
	}
	return err
}

// trimProcess drops limits and the OOM score, which only the capability could change, and the
// capability from every set.
func trimProcess(process object) error {
	delete(process, "rlimits")
	delete(process, "oomScoreAdj")
	if len(process["capabilities"]) == 0 {
		return nil
	}
	var sets map[string][]string
	if err := json.Unmarshal(process["capabilities"], &sets); err != nil {
		return err
	}
	for name, set := range sets {
		sets[name] = slices.DeleteFunc(set, func(c string) bool { return c == capability })
	}
	var err error
	process["capabilities"], err = json.Marshal(sets)
	return err
}
