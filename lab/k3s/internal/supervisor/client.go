package supervisor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"metalworks/lab/k3s/internal/join"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/relay"
	"metalworks/lab/k3s/internal/token"
)

const retryEvery = 300 * time.Millisecond

// Client asks the supervisor of a server.
type Client struct {
	address string
	user    string
	token   token.Token
	http    *http.Client
}

// NewClient speaks to HOST:PORT as `server` or `node`.
func NewClient(address, user string, given token.Token) *Client {
	return &Client{address: address, user: user, token: given}
}

// Node asks for a node's certificates, until a server answers.
func (c *Client) Node(ctx context.Context, request NodeRequest) (NodeReply, error) {
	return ask[NodeReply](ctx, c, pathNode, request)
}

// Bootstrap asks for the keys that all servers share.
func (c *Client) Bootstrap(ctx context.Context, request BootstrapRequest) (BootstrapReply, error) {
	return ask[BootstrapReply](ctx, c, pathBootstrap, request)
}

// AddMember asks for a place in the datastore's cluster, and returns etcd's --initial-cluster.
func (c *Client) AddMember(ctx context.Context, request join.MemberRequest) (string, error) {
	reply, err := ask[MemberReply](ctx, c, pathMember, request)
	return reply.InitialCluster, err
}

// Promote asks for a vote in the datastore's cluster, until it has caught up.
func (c *Client) Promote(ctx context.Context, member string) error {
	_, err := ask[struct{}](ctx, c, pathPromote, join.MemberRequest{Member: member})
	return err
}

// ask repeats a question until it is answered or refused. A server that is down or busy is asked again.
func ask[Out any](ctx context.Context, c *Client, path string, request any) (Out, error) {
	var last string
	for {
		var reply Out
		err := c.askOnce(ctx, path, request, &reply)
		if err == nil || errors.As(err, &join.Refusal{}) {
			return reply, err
		}
		if text := err.Error(); text != last {
			log.Printf("waiting for the supervisor at %s: %v", c.address, err)
			last = text
		}
		select {
		case <-ctx.Done():
			return reply, ctx.Err()
		case <-time.After(retryEvery):
		}
	}
}

func (c *Client) askOnce(ctx context.Context, path string, request, reply any) error {
	if c.http == nil {
		if err := c.connect(ctx); err != nil {
			return err
		}
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	question, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	question.SetBasicAuth(c.user, c.token.Secret)
	answer, err := c.http.Do(question)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return json.Unmarshal(content, reply)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest:
		return join.Refusal{Reason: fmt.Sprintf("the server at %s refuses: %s", c.address, strings.TrimSpace(string(content)))}
	}
	return fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(content)))
}

// connect reads the server's CA, checks it against the token, and trusts nothing else from then on.
func (c *Client) connect(ctx context.Context) error {
	anyone := c.client(&tls.Config{InsecureSkipVerify: true}) // the CA it brings is checked by its hash below
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.address+pathCA, nil)
	if err != nil {
		return err
	}
	answer, err := anyone.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	ca, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("no supervisor: %s", answer.Status)
	}
	if err := c.token.Check(ca); err != nil {
		return join.Refusal{Reason: err.Error()}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return errors.New("the server's CA is not a certificate")
	}
	c.http = c.client(&tls.Config{RootCAs: roots})
	return nil
}

func (c *Client) client(settings *tls.Config) *http.Client {
	settings.MinVersion = tls.VersionTLS12
	settings.ServerName = "kubernetes" // every server's certificate has this name, whatever address it is reached by
	settings.NextProtos = []string{layout.SupervisorProtocol}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := relay.Dialer().DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		secured := tls.Client(connection, settings)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = connection.Close()
			return nil, err
		}
		return plain{secured}, nil
	}
	return &http.Client{Transport: &http.Transport{DialTLSContext: dial, IdleConnTimeout: 10 * time.Second}}
}
