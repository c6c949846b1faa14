package agent

import (
	"os"
	"path/filepath"
	"testing"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/layout"
)

func TestTheResolverOfPods(t *testing.T) {
	const own, loopback, other = "nameserver 192.0.2.1\n", "nameserver 127.0.0.53\n", "nameserver 192.0.2.2\n"
	cases := map[string]struct {
		first, second, configured string
		wanted                    string
	}{
		"the machine's own":                 {first: own, second: other, wanted: own},
		"behind a resolver on the loopback": {first: loopback, second: other, wanted: other},
		"one on the loopback among others":  {first: own + loopback, second: other, wanted: other},
		"nothing that is usable":            {first: loopback, wanted: "nameserver 198.51.100.7\n"},
		"a file without a resolver":         {first: "search a\n", wanted: "nameserver 198.51.100.7\n"},
		"the configured one":                {first: own, configured: loopback, wanted: loopback},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			layout.UseDataDir(folder)
			before := resolvers
			t.Cleanup(func() { resolvers = before; layout.UseDataDir(layout.DefaultDataDir) })
			write := func(name, content string) string {
				path := filepath.Join(folder, name)
				if content == "" {
					return ""
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			resolvers = []string{write("first", c.first), write("second", c.second)}
			settings := &config.Settings{NodeIP: "198.51.100.7", ResolvConf: write("configured", c.configured)}
			path, err := podResolver(settings)
			if err != nil {
				t.Fatal(err)
			}
			if found, err := os.ReadFile(path); err != nil || string(found) != c.wanted {
				t.Errorf("found %q, %v: wanted %q", found, err, c.wanted)
			}
		})
	}
}
