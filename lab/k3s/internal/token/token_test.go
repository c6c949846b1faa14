package token

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	cases := map[string]struct {
		text    string
		wanted  Token
		refused string
	}{
		"a plain secret":                    {text: "secret\n", wanted: Token{Secret: "secret"}},
		"a secret that only starts alike":   {text: "K10secret", wanted: Token{Secret: "K10secret"}},
		"the long form":                     {text: "K10" + hash + "::server:s:e", wanted: Token{Secret: "s:e", CAHash: hash}},
		"nothing":                           {text: " \n", refused: "empty"},
		"a hash that was cut off":           {text: "K10abc::server:secret", refused: "copy the whole"},
		"a user who is not of k3s":          {text: "K10" + hash + "::root:secret", refused: "copy the whole"},
		"the long form without a secret":    {text: "K10" + hash + "::server:", refused: "copy the whole"},
		"the long form without credentials": {text: "K10" + hash + "::server", refused: "copy the whole"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := Parse(c.text)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Fatalf("wanted a refusal with %q, found %v", c.refused, err)
				}
				return
			}
			if err != nil || found != c.wanted {
				t.Fatalf("found %+v, %v", found, err)
			}
		})
	}
}

func TestFormatNamesTheCA(t *testing.T) {
	found, err := Parse(Format("secret", []byte("the CA")))
	if err != nil {
		t.Fatal(err)
	}
	if err := found.Check([]byte("the CA")); err != nil {
		t.Error(err)
	}
	if err := found.Check([]byte("another CA")); err == nil {
		t.Error("another CA must be refused")
	}
}
