// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package run

import "strings"

// ShellWord quotes what a POSIX shell would take apart, so that a command line that is shown can
// be copied as it is. A word of letters, digits and harmless signs stays as it stands. It is for
// text to read: this package itself starts no shell.
func ShellWord(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,@%+"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
