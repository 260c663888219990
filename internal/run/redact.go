// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"encoding/base64"
	"regexp"
	"strings"
)

// blot is what stands in place of a secret.
const blot = "[redacted]"

// A pattern finds secrets; keep says how much of the match, as a replacement, is no secret.
type pattern struct {
	find *regexp.Regexp
	keep string
}

// patterns are compiled once and never written; in this order, as the first takes whole
// keys of which a later one would leave a part.
var patterns = []pattern{
	// A private key, with real or escaped line breaks; without its end, all that follows.
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`), blot},
	// The rest of a private key whose beginning is cut off.
	{regexp.MustCompile(`(?:[A-Za-z0-9+/=]+(?:\s|\\n)+)*[A-Za-z0-9+/=]*(?:\s|\\n)*-----END [A-Z0-9 ]*PRIVATE KEY-----`), blot},
	// JSON Web Tokens, and the same in base64 as a Secret's data hold them.
	{regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){1,4}`), blot},
	{regexp.MustCompile(`ZXlK[A-Za-z0-9+/]{40,}={0,2}`), blot},
	{regexp.MustCompile(`(?i)\b(bearer\s+|authorization:\s*\w+\s+)[A-Za-z0-9._~+/=-]{8,}`), "${1}" + blot},
	// Fields of a kubeconfig or a Secret: in JSON, escaped JSON, and at the start of a YAML line.
	{regexp.MustCompile(`(?i)(\\?"` + fields + `\\?"\s*:\s*\\?")[^"\\]+`), "${1}" + blot},
	{regexp.MustCompile(`(?im)^([\s-]*` + fields + `:[ \t]*)[^\s|>][^\n]*`), "${1}" + blot},
	// The same in running text or as a flag, when the value has the length of a secret or
	// the flag says what it is.
	{regexp.MustCompile(`(?i)\b(` + fields + `\s*[:=]\s*["']?)[A-Za-z0-9._~+/=-]{16,}`), "${1}" + blot},
	{regexp.MustCompile(`(--(?:token|password)[= ]+)\S+`), "${1}" + blot},
}

const fields = `(?:token|client-key-data|id-token|refresh-token|access-token|password|client-secret)`

// armoured is base64 of text that begins with "-----BEGIN ": keys in a Secret's data.
var armoured = regexp.MustCompile(`LS0tLS1CRUdJTi[A-Za-z0-9+/]+={0,2}`)

// Redact blots out what must never be shown: bearer tokens, JSON Web Tokens, private keys
// in PEM (also in base64) and the secret fields of a kubeconfig. Certificates stay.
func Redact(s string) string {
	for _, p := range patterns {
		s = p.find.ReplaceAllString(s, p.keep)
	}
	return armoured.ReplaceAllStringFunc(s, func(match string) string {
		bare := strings.TrimRight(match, "=")
		// A cut-off tail may not decode; what does is enough to tell a key by.
		plain, _ := base64.RawStdEncoding.DecodeString(bare[:len(bare)/4*4])
		if strings.Contains(string(plain), "PRIVATE KEY") {
			return blot
		}
		return match
	})
}
