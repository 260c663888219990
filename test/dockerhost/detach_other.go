//go:build !linux

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package dockerhost

import "errors"

func detach(string) error { return errors.ErrUnsupported }
