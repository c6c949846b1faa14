package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

func TestEnsureKeepsAGoodCertificateAndRenewsForOtherHosts(t *testing.T) {
	folder := t.TempDir()
	ca, err := LoadOrMakeCA(filepath.Join(folder, "ca"), "test")
	if err != nil {
		t.Fatal(err)
	}
	prefix := filepath.Join(folder, "leaf")
	subject := Subject{Name: "a", Hosts: []string{"a", "127.0.0.1", "a"}, Server: true}
	contents := func() string {
		if err := ca.Ensure(prefix, subject); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(prefix + ".crt")
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	first := contents()
	if contents() != first {
		t.Error("a good certificate must be kept")
	}
	subject.Hosts = append(subject.Hosts, "b")
	if contents() == first {
		t.Error("another host needs another certificate")
	}
	pair, err := tls.LoadX509KeyPair(prefix+".crt", prefix+".key")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM)
	for _, host := range []string{"a", "b", "127.0.0.1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if found, err := os.Stat(prefix + ".key"); err != nil || found.Mode().Perm() != 0o600 {
		t.Errorf("the key is readable by others: %v", found.Mode())
	}
}

func TestACAIsReadAgain(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "ca")
	first, err := LoadOrMakeCA(prefix, "test")
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadOrMakeCA(prefix, "test")
	if err != nil || string(first.PEM) != string(second.PEM) {
		t.Fatalf("another CA was made: %v", err)
	}
}
