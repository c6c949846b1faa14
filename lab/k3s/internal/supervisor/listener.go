package supervisor

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/relay"
)

const helloTimeout = 10 * time.Second

// Serve shares one port: connections that ask for the supervisor are answered here, all others go to the API as they
// are, so that client certificates and upgrades work untouched.
func Serve(listener net.Listener, certificate tls.Certificate, handler http.Handler, api string) {
	asked := make(chan net.Conn)
	settings := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{layout.SupervisorProtocol},
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: helloTimeout}
	go func() { _ = server.Serve(channelListener{asked, listener.Addr()}) }()
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go route(connection, settings, asked, api)
	}
}

func route(connection net.Conn, settings *tls.Config, asked chan<- net.Conn, api string) {
	_ = connection.SetDeadline(time.Now().Add(helloTimeout))
	protocols, seen, err := readHello(connection)
	_ = connection.SetDeadline(time.Time{})
	if err == nil && slices.Contains(protocols, layout.SupervisorProtocol) {
		asked <- plain{tls.Server(replay{connection, io.MultiReader(bytes.NewReader(seen), connection)}, settings)}
		return
	}
	upstream, err := relay.Dialer().Dial("tcp", api)
	if err != nil {
		_ = connection.Close()
		return
	}
	if _, err := upstream.Write(seen); err != nil {
		_ = connection.Close()
		_ = upstream.Close()
		return
	}
	relay.Splice(connection, upstream)
}

// plain hides the TLS of a connection from net/http, which closes connections whose protocol it does not know.
type plain struct{ net.Conn }

// replay gives back what was read while the first message was looked at.
type replay struct {
	net.Conn
	reader io.Reader
}

func (r replay) Read(p []byte) (int, error) { return r.reader.Read(p) }

// tap records what is read, and writes nothing.
type tap struct {
	net.Conn
	seen bytes.Buffer
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.seen.Write(p[:n])
	return n, err
}

func (t *tap) Write(p []byte) (int, error) { return len(p), nil }

var errSeen = errors.New("seen")

// readHello reads the client's first message, and returns the protocols it offers with all the bytes that were read.
func readHello(connection net.Conn) ([]string, []byte, error) {
	var protocols []string
	recorder := &tap{Conn: connection}
	err := tls.Server(recorder, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			protocols = hello.SupportedProtos
			return nil, errSeen
		},
	}).Handshake()
	if errors.Is(err, errSeen) {
		err = nil
	}
	return protocols, recorder.seen.Bytes(), err
}

// channelListener hands connections that were accepted elsewhere to net/http.
type channelListener struct {
	connections <-chan net.Conn
	address     net.Addr
}

func (c channelListener) Accept() (net.Conn, error) { return <-c.connections, nil }
func (c channelListener) Close() error              { return nil }
func (c channelListener) Addr() net.Addr            { return c.address }
