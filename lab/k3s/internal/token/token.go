// Package token reads and writes the shared secret in the two forms that k3s accepts.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const prefix = "K10"

// Token is what a joiner presents: a secret, and (in the long form) the hash of the CA it must find on the server.
type Token struct {
	Secret string
	CAHash string // empty: the joiner trusts the first CA that it is shown
}

// Parse reads "secret" or "K10<sha256 of the CA>::<user>:secret".
func Parse(text string) (Token, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Token{}, fmt.Errorf("the token is empty: write a secret into the file that token-file names")
	}
	if !strings.HasPrefix(text, prefix) || !strings.Contains(text, "::") {
		return Token{Secret: text}, nil
	}
	hash, credentials, _ := strings.Cut(strings.TrimPrefix(text, prefix), "::")
	user, secret, found := strings.Cut(credentials, ":")
	if !found || len(hash) != sha256.Size*2 || secret == "" || (user != "server" && user != "node") {
		return Token{}, fmt.Errorf("the token is not of the form K10<sha256 of the CA>::server:<secret>: " +
			"copy the whole of /var/lib/rancher/k3s/server/token")
	}
	return Token{Secret: secret, CAHash: hash}, nil
}

// Format writes the long form.
func Format(secret string, ca []byte) string {
	return prefix + Hash(ca) + "::server:" + secret
}

// Hash is how a token names a CA.
func Hash(ca []byte) string {
	sum := sha256.Sum256(ca)
	return hex.EncodeToString(sum[:])
}

// Check says whether this is the CA that the token names.
func (t Token) Check(ca []byte) error {
	if t.CAHash != "" && t.CAHash != Hash(ca) {
		return fmt.Errorf("token CA hash does not match the cluster's CA certificate hash (%s, not %s): the token "+
			"belongs to another cluster, or another machine answers at this address", t.CAHash, Hash(ca))
	}
	return nil
}

// Generate makes a secret.
func Generate() (string, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	return hex.EncodeToString(raw), nil
}
