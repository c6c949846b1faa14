package registries

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/pelletier/go-toml/v2"
)

func read(t *testing.T, content string) (File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registries.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(path)
}

// hosts is what containerd makes of the file for a registry.
func hosts(t *testing.T, content, registry string) []docker.RegistryHost {
	t.Helper()
	file, err := read(t, content)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "certs.d")
	if err := file.Write(folder); err != nil {
		t.Fatal(err)
	}
	found, err := config.ConfigureHosts(context.Background(), config.HostOptions{HostDir: config.HostDirFromRoot(folder)})(registry)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct{ content, refused string }{
		"an unknown key":             {"mirrors: {a.b: {endpoints: [https://c]}}\n", "endpoints"},
		"a rewrite":                  {"mirrors: {a.b: {endpoint: [https://c], rewrite: {a: b}}}\n", "rewrite is not honoured"},
		"an endpoint without scheme": {"mirrors: {a.b: {endpoint: [c:5000]}}\n", "write https://HOST:PORT"},
		"a path for a registry":      {"configs: {a.b/c: {auth: {auth: x}}}\n", "write HOST or HOST:PORT"},
		"what is no YAML":            {"mirrors: [\n", "registries.yaml"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := read(t, c.content); err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("got %v, want a refusal that says %q", err, c.refused)
			}
		})
	}
}

func TestNoFileAndAnEmptyOneSayNothing(t *testing.T) {
	if _, err := Read(filepath.Join(t.TempDir(), "registries.yaml")); err != nil {
		t.Error(err)
	}
	if found := hosts(t, "", "quay.io"); len(found) != 1 || found[0].Host != "quay.io" {
		t.Errorf("got %v", found)
	}
}

func TestWhoIsAskedInWhichOrder(t *testing.T) {
	content := `
mirrors:
  quay.io: {endpoint: ["https://z.example:5000", "http://a.example", "https://p.example/proxy", "http://a.example"]}
  docker.io: {endpoint: ["https://hub.example/v2"]}
  "*": {endpoint: ["https://all.example"]}
configs:
  "own.example:5000": {tls: {insecure_skip_verify: true}}
`
	cases := map[string][]string{
		"quay.io":          {"https://z.example:5000/v2", "http://a.example/v2", "https://p.example/proxy", "https://quay.io/v2"},
		"docker.io":        {"https://hub.example/v2", "https://registry-1.docker.io/v2"},
		"else.example":     {"https://all.example/v2", "https://else.example/v2"},
		"own.example:5000": {"https://own.example:5000/v2"},
	}
	for registry, wanted := range cases {
		var asked []string
		for _, host := range hosts(t, content, registry) {
			asked = append(asked, host.Scheme+"://"+host.Host+host.Path)
		}
		if strings.Join(asked, " ") != strings.Join(wanted, " ") {
			t.Errorf("%s: asked are %v, want %v", registry, asked, wanted)
		}
	}
}

func TestWhoIsTrusted(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(server.URL, "https://")
	mirror := "mirrors: {quay.io: {endpoint: [\"" + server.URL + "\"]}}\n"
	tls := func(lines string) string { return mirror + "configs: {\"" + address + "\": {tls: {" + lines + "}}}\n" }
	cases := map[string]struct {
		content  string
		registry string
		trusted  bool
	}{
		"its CA, as a mirror":        {tls("ca_file: " + ca), "quay.io", true},
		"its CA, by its own name":    {tls("ca_file: " + ca), address, true},
		"nobody is asked for":        {tls("insecure_skip_verify: true"), "quay.io", true},
		"the computer's CAs only":    {mirror, "quay.io", false},
		"a mirror of something else": {tls("ca_file: " + ca), "other.example", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			answer, err := hosts(t, c.content, c.registry)[0].Client.Get(server.URL)
			if err == nil {
				_ = answer.Body.Close()
			}
			if (err == nil) != c.trusted {
				t.Errorf("trusted: %v, want %v (%v)", err == nil, c.trusted, err)
			}
		})
	}
}

func TestLoginsAreKeptWhole(t *testing.T) {
	file, err := read(t, "configs: {\"r.example:5000\": {auth: {username: ada, password: \"a\\\"b\\\\c<é\\n\"}}, plain.example: {}}\n")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Plugins map[string]struct {
			Registry struct {
				Configs map[string]struct{ Auth map[string]string }
			}
		}
	}
	if err := toml.Unmarshal([]byte(file.Logins()), &parsed); err != nil {
		t.Fatal(err)
	}
	configs := parsed.Plugins["io.containerd.cri.v1.images"].Registry.Configs
	auth := configs["r.example:5000"].Auth
	if len(configs) != 1 || auth["username"] != "ada" || auth["password"] != "a\"b\\c<é\n" {
		t.Errorf("got %v", configs)
	}
}

func TestFormerRegistriesAreForgotten(t *testing.T) {
	folder := t.TempDir()
	for _, host := range []string{"first.example", "second.example"} {
		if err := (File{Mirrors: map[string]Mirror{host: {}}}).Write(folder); err != nil {
			t.Fatal(err)
		}
	}
	if found, _ := filepath.Glob(folder + "/*/hosts.toml"); len(found) != 1 || !strings.Contains(found[0], "second.example") {
		t.Errorf("left are %v", found)
	}
}
