package registries

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"metalworks/lab/k3s/internal/pki"
)

// Write replaces the folder of containerd's hosts.toml files: one for each registry that is named. The registry itself is
// always asked last; containerd knows its address.
func (f File) Write(folder string) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	hosts := map[string]bool{}
	for host := range f.Mirrors {
		hosts[host] = true
	}
	for host := range f.Configs {
		hosts[host] = true
	}
	for host := range hosts {
		name := host
		if host == "*" {
			name = "_default"
		}
		if err := pki.WriteFile(filepath.Join(folder, name, "hosts.toml"), []byte(f.hosts(host)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (f File) hosts(host string) string {
	var text strings.Builder
	text.WriteString("# Written at every start of k3s.\n" + tlsLines(f.config(host).TLS))
	seen := map[string]bool{}
	for _, endpoint := range f.Mirrors[host].Endpoints {
		if seen[endpoint] {
			continue
		}
		seen[endpoint] = true
		parsed, _ := url.Parse(endpoint) // checked when it was read
		fmt.Fprintf(&text, "\n[host.%s]\ncapabilities = [\"pull\", \"resolve\"]\n", quote(endpoint))
		if path := strings.TrimSuffix(parsed.Path, "/"); path != "" && path != "/v2" {
			text.WriteString("override_path = true\n")
		}
		text.WriteString(tlsLines(f.config(parsed.Host).TLS))
	}
	return text.String()
}

func tlsLines(tls *TLS) string {
	if tls == nil {
		return ""
	}
	var text strings.Builder
	if tls.CAFile != "" {
		fmt.Fprintf(&text, "ca = [%s]\n", quote(tls.CAFile))
	}
	if tls.CertFile != "" || tls.KeyFile != "" {
		fmt.Fprintf(&text, "client = [[%s, %s]]\n", quote(tls.CertFile), quote(tls.KeyFile))
	}
	if tls.InsecureSkipVerify {
		text.WriteString("skip_verify = true\n")
	}
	return text.String()
}

// Logins are the tables of containerd's own configuration that hold the logins.
func (f File) Logins() string {
	var hosts []string
	for host, config := range f.Configs {
		if config.Auth != nil {
			hosts = append(hosts, host)
		}
	}
	sort.Strings(hosts)
	var text strings.Builder
	for _, host := range hosts {
		auth := f.Configs[host].Auth
		fmt.Fprintf(&text, "\n[plugins.'io.containerd.cri.v1.images'.registry.configs.%s.auth]\n", quote(host))
		fmt.Fprintf(&text, "username = %s\npassword = %s\nauth = %s\nidentitytoken = %s\n",
			quote(auth.Username), quote(auth.Password), quote(auth.Auth), quote(auth.IdentityToken))
	}
	return text.String()
}

// quote writes a text as TOML does; its escapes are JSON's.
func quote(text string) string {
	quoted, _ := json.Marshal(text) // a text always can
	return string(quoted)
}
