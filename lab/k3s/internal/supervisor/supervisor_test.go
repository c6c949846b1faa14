package supervisor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/join"
	"metalworks/lab/k3s/internal/pki"
	"metalworks/lab/k3s/internal/token"
)

type passwords map[string]string

func (p passwords) Check(_ context.Context, node, password string) error {
	if known, found := p[node]; found && known != password {
		return join.Refusal{Reason: "Node password rejected"}
	}
	p[node] = password
	return nil
}

// serve starts a supervisor before an API that answers every connection with one word.
func serve(t *testing.T, clustered bool) (address string, ca *pki.CA) {
	t.Helper()
	folder := t.TempDir()
	ca, err := pki.LoadOrMakeCA(filepath.Join(folder, "ca"), "test")
	if err != nil {
		t.Fatal(err)
	}
	prefix := filepath.Join(folder, "serving")
	if err := ca.Ensure(prefix, pki.Subject{Name: "s", Hosts: []string{"kubernetes"}, Server: true}); err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(prefix+".crt", prefix+".key")
	if err != nil {
		t.Fatal(err)
	}
	listener, api := listen(t), listen(t)
	go func() {
		for {
			connection, err := api.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(connection, "api")
			_ = connection.Close()
		}
	}()
	server := &Server{
		Secret: "secret", Clustered: clustered, ServerCA: ca, ClientCA: ca, Passwords: passwords{},
		Cluster: config.Cluster{ClusterCIDR: "10.42.0.0/16"},
	}
	go Serve(listener, certificate, server.Handler(), api.Addr().String())
	return listener.Addr().String(), ca
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func nodeRequest(t *testing.T, password string) NodeRequest {
	t.Helper()
	request := NodeRequest{Name: "a", IP: "192.0.2.1", Password: password, Requests: map[string][]byte{}}
	for name := range NodeCertificates("a", "192.0.2.1") {
		made, err := pki.Request(filepath.Join(t.TempDir(), name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		request.Requests[name] = made
	}
	return request
}

func TestJoining(t *testing.T) {
	address, ca := serve(t, false)
	hash := token.Hash(ca.PEM)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cases := []struct {
		name     string
		token    token.Token
		password string
		refused  string
	}{
		{"a plain secret trusts the CA it is shown", token.Token{Secret: "secret"}, "p", ""},
		{"the long form checks the CA", token.Token{Secret: "secret", CAHash: hash}, "p", ""},
		{"another CA is refused", token.Token{Secret: "secret", CAHash: strings.Repeat("0", 64)}, "p", "token CA hash does not match"},
		{"another secret is refused", token.Token{Secret: "guess"}, "p", "the token is not valid"},
		{"a second machine of the same name is refused", token.Token{Secret: "secret"}, "q", "Node password rejected"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			reply, err := NewClient(address, "node", c.token).Node(ctx, nodeRequest(t, c.password))
			if c.refused == "" {
				if err != nil || reply.Cluster.ClusterCIDR != "10.42.0.0/16" || len(reply.Certificates) != 4 {
					t.Fatalf("found %+v, %v", reply.Cluster, err)
				}
				return
			}
			if !errors.As(err, &join.Refusal{}) || !strings.Contains(err.Error(), c.refused) {
				t.Fatalf("wanted a refusal with %q, found %v", c.refused, err)
			}
		})
	}
}

func TestAServerMayJoinOnlyWhereItFits(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	same, other := config.Cluster{ClusterCIDR: "10.42.0.0/16"}, config.Cluster{ClusterCIDR: "10.50.0.0/16"}
	cases := map[string]struct {
		clustered bool
		user      string
		cluster   config.Cluster
		refused   string
	}{
		"the same settings fit":               {true, "server", same, ""},
		"other settings do not":               {true, "server", other, `cluster-cidr is "10.42.0.0/16" in the cluster, "10.50.0.0/16" here`},
		"a server alone takes no other":       {false, "server", same, "cluster-init: true"},
		"a node's user does not get the keys": {true, "node", same, "the token is not valid"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			address, _ := serve(t, c.clustered)
			client := NewClient(address, c.user, token.Token{Secret: "secret"})
			_, err := client.Bootstrap(ctx, BootstrapRequest{Cluster: c.cluster})
			if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
				t.Fatalf("wanted a refusal with %q, found %v", c.refused, err)
			}
		})
	}
}

func TestOtherConnectionsGoToTheAPI(t *testing.T) {
	address, _ := serve(t, false)
	for name, first := range map[string][]byte{
		"TLS without the supervisor's protocol": clientHello(t),
		"what is no TLS":                        []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			connection, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = connection.Close() }()
			if _, err := connection.Write(first); err != nil {
				t.Fatal(err)
			}
			_ = connection.SetReadDeadline(time.Now().Add(5 * time.Second))
			if answer, _ := io.ReadAll(connection); string(answer) != "api" {
				t.Errorf("found %q", answer)
			}
		})
	}
}

// clientHello is the first message of a client of the API.
func clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		_ = tls.Client(ours, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}).Handshake()
	}()
	buffer := make([]byte, 4096)
	n, err := theirs.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	return buffer[:n]
}
