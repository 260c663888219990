// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package support puts what was seen of a mesh into one archive, for somebody who is to help and can
// not look himself.
//
// It owns what goes in (see looks), the bounds of it, and that no secret does: Secrets are listed by
// their metadata and never read, environment variables that sound like one lose their value, and every
// file passes run.Redact. It refuses to judge (that is verify's), to change anything, and to fail
// because a part can not be had: the index says what is missing and why.
package support
