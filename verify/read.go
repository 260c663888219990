// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/topology"
)

// MaxReport bounds what is read as a report, in bytes: a mesh of 50 clusters needs less.
const MaxReport = 64 << 20

// ReadReport reads a report that this or another version wrote as JSON. Fields that it does not
// know are passed over and those that an older version did not write are empty: the form only
// grows. An error says what it is instead.
func ReadReport(data []byte) (*Report, error) {
	if len(data) > MaxReport {
		return nil, fmt.Errorf("it has %d bytes, more than the %d that a report may have", len(data), MaxReport)
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("it is no JSON report: %w", err)
	}
	group, _, _ := strings.Cut(topology.APIVersion, "/")
	switch {
	case !strings.HasPrefix(r.APIVersion, group+"/"):
		return nil, fmt.Errorf("its apiVersion is %q, not one of %s", r.APIVersion, group)
	case r.Kind != Kind:
		return nil, fmt.Errorf("its kind is %q, not %s", r.Kind, Kind)
	case r.Topology == "":
		return nil, errors.New("it does not say of which topology it is")
	case len(r.Checks) == 0:
		return nil, errors.New("it holds no checks")
	}
	for _, c := range r.Checks {
		if c.ID == "" || c.Suite == "" || !slices.Contains(worst(), c.Status) {
			return nil, fmt.Errorf("it holds a check %q of the suite %q with the status %q", c.ID, c.Suite, c.Status)
		}
	}
	return &r, nil
}
