// Package pki makes and keeps the cluster's keys and certificates.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	renewal  = 120 * 24 * time.Hour // a leaf with less life left is renewed at the next start, as k3s does
)

// CA signs certificates.
type CA struct {
	PEM  []byte
	cert *x509.Certificate
	key  crypto.Signer
}

// Subject is who a certificate speaks for.
type Subject struct {
	Name   string
	Groups []string
	Hosts  []string // names and addresses; set for certificates of servers
	Server bool
	Client bool
}

// LoadOrMakeCA reads <prefix>.crt and <prefix>.key, or makes them.
func LoadOrMakeCA(prefix, name string) (*CA, error) {
	if ca, err := loadCA(prefix); err == nil || !errors.Is(err, os.ErrNotExist) {
		return ca, err
	}
	key, err := LoadOrMakeKey(prefix + ".key")
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s@%d", name, time.Now().Unix())},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := WriteFile(prefix+".crt", encode("CERTIFICATE", der), 0o644); err != nil {
		return nil, err
	}
	return loadCA(prefix)
}

func loadCA(prefix string) (*CA, error) {
	content, err := os.ReadFile(prefix + ".crt")
	if err != nil {
		return nil, err
	}
	cert, err := parseCertificate(content)
	if err != nil {
		return nil, fmt.Errorf("%s.crt: %w", prefix, err)
	}
	key, err := LoadOrMakeKey(prefix + ".key")
	if err != nil {
		return nil, err
	}
	return &CA{PEM: content, cert: cert, key: key}, nil
}

// LoadOrMakeKey reads a private key, or makes one (0600).
func LoadOrMakeKey(path string) (crypto.Signer, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		content, err = makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func makeKey(path string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	content := encode("EC PRIVATE KEY", der)
	return content, WriteFile(path, content, 0o600)
}

// Request is what a node sends to have its own key certified: the key never leaves the node.
func Request(keyPath string) ([]byte, error) {
	key, err := LoadOrMakeKey(keyPath)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	return encode("CERTIFICATE REQUEST", der), nil
}

// SignRequest certifies the key in a request for a subject that the signer chose.
func (ca *CA) SignRequest(request []byte, subject Subject) ([]byte, error) {
	block, _ := pem.Decode(request)
	if block == nil {
		return nil, errors.New("the certificate request is not PEM")
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := parsed.CheckSignature(); err != nil {
		return nil, err
	}
	return ca.sign(parsed.PublicKey, subject)
}

// Ensure keeps <prefix>.crt and <prefix>.key: made when missing, renewed when old or for another subject.
func (ca *CA) Ensure(prefix string, subject Subject) error {
	key, err := LoadOrMakeKey(prefix + ".key")
	if err != nil {
		return err
	}
	content, err := os.ReadFile(prefix + ".crt")
	if err == nil && ca.stillGood(content, key.Public(), subject) {
		return nil
	}
	certificate, err := ca.sign(key.Public(), subject)
	if err != nil {
		return err
	}
	return WriteFile(prefix+".crt", certificate, 0o644)
}

func (ca *CA) stillGood(content []byte, key crypto.PublicKey, subject Subject) bool {
	cert, err := parseCertificate(content)
	if err != nil || cert.CheckSignatureFrom(ca.cert) != nil || time.Until(cert.NotAfter) < renewal {
		return false
	}
	public, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || !public.Equal(key) || cert.Subject.CommonName != subject.Name {
		return false
	}
	found := append([]string{}, cert.DNSNames...)
	for _, address := range cert.IPAddresses {
		found = append(found, address.String())
	}
	return slices.Equal(sorted(found), sorted(subject.Hosts)) &&
		slices.Equal(sorted(cert.Subject.Organization), sorted(subject.Groups))
}

func sorted(items []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(items)))
}

func (ca *CA) sign(key crypto.PublicKey, subject Subject) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: subject.Name, Organization: subject.Groups},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	if subject.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	if subject.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, host := range sorted(subject.Hosts) {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key, ca.key)
	if err != nil {
		return nil, err
	}
	return encode("CERTIFICATE", der), nil
}

func parseCertificate(content []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("no certificate in it")
	}
	return x509.ParseCertificate(block.Bytes)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// WriteFile replaces a file at once, and makes its folder (0700).
func WriteFile(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, mode); err != nil {
		return err
	}
	if err := os.Chmod(path+".new", mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
