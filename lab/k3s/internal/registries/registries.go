// Package registries honours registries.yaml: where containerd pulls from, whom it trusts and as whom it logs in.
package registries

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// File is the content of registries.yaml. The key "*" stands for every registry that is not named.
type File struct {
	Mirrors map[string]Mirror `yaml:"mirrors"`
	Configs map[string]Config `yaml:"configs"`
}

// Mirror lists the addresses that are asked, in order, before the registry itself.
type Mirror struct {
	Endpoints []string          `yaml:"endpoint"`
	Rewrites  map[string]string `yaml:"rewrite"`
}

// Config is how a host is spoken to, whether it is an endpoint of a mirror or the registry itself.
type Config struct {
	Auth *Auth `yaml:"auth"`
	TLS  *TLS  `yaml:"tls"`
}

// Auth is a login.
type Auth struct {
	Username      string `yaml:"username"`
	Password      string `yaml:"password"`
	Auth          string `yaml:"auth"`
	IdentityToken string `yaml:"identity_token"`
}

// TLS is whom a connection trusts, and the certificate that it shows.
type TLS struct {
	CAFile             string `yaml:"ca_file"`
	CertFile           string `yaml:"cert_file"`
	KeyFile            string `yaml:"key_file"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify"`
}

// Read reads the file and refuses what is not honoured; a file that is not there says nothing.
func Read(path string) (File, error) {
	var file File
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return file, fmt.Errorf("%s: %w", path, err)
	}
	if err := file.check(); err != nil {
		return file, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

func (f File) check() error {
	for host, mirror := range f.Mirrors {
		if err := checkHost(host); err != nil {
			return fmt.Errorf("mirrors: %w", err)
		}
		if len(mirror.Rewrites) > 0 {
			return fmt.Errorf("mirrors: %s: rewrite is not honoured by the stand-in, whose containerd cannot rewrite names", host)
		}
		for _, endpoint := range mirror.Endpoints {
			parsed, err := url.Parse(endpoint)
			if err != nil || (parsed.Scheme != "https" && parsed.Scheme != "http") || parsed.Host == "" {
				return fmt.Errorf("mirrors: %s: the endpoint %q is no address: write https://HOST:PORT", host, endpoint)
			}
		}
	}
	for host := range f.Configs {
		if err := checkHost(host); err != nil {
			return fmt.Errorf("configs: %w", err)
		}
	}
	return nil
}

// checkHost refuses a key that would be a path: it becomes the name of a folder.
func checkHost(host string) error {
	if host == "" || strings.Contains(host, "/") || strings.HasPrefix(host, ".") {
		return fmt.Errorf("%q is not a registry: write HOST or HOST:PORT", host)
	}
	return nil
}

// config is how a host is spoken to. Docker Hub goes by two names.
func (f File) config(host string) Config {
	if found, ok := f.Configs["registry-1.docker.io"]; ok && host == "docker.io" {
		return found
	}
	return f.Configs[host]
}
