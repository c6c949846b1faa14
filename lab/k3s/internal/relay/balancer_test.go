package relay

import (
	"io"
	"net"
	"path/filepath"
	"testing"
)

// server answers every connection with its name.
func server(t *testing.T, name string) net.Listener {
	t.Helper()
	listener := listen(t)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(connection, name)
			_ = connection.Close()
		}
	}()
	return listener
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

func ask(t *testing.T, balancer net.Listener) string {
	t.Helper()
	connection, err := net.Dial("tcp", balancer.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	answer, _ := io.ReadAll(connection)
	return string(answer)
}

func TestTheLossOfAServerIsOutlived(t *testing.T) {
	first, second := server(t, "first"), server(t, "second")
	path := filepath.Join(t.TempDir(), "list.json")
	balancer, listener := NewBalancer(path, first.Addr().String()), listen(t)
	go balancer.Serve(listener)
	if answer := ask(t, listener); answer != "first" {
		t.Fatalf("before the list is known: %q", answer)
	}
	if err := balancer.SetServers([]string{first.Addr().String(), second.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	if answer := ask(t, listener); answer != "second" {
		t.Fatalf("after the loss: %q", answer)
	}

	again, other := NewBalancer(path, first.Addr().String()), listen(t)
	go again.Serve(other)
	if answer := ask(t, other); answer != "second" {
		t.Errorf("a new start must know the list: %q", answer)
	}
}

func TestWithoutAServerTheConnectionEnds(t *testing.T) {
	gone := listen(t)
	_ = gone.Close()
	listener := listen(t)
	go NewBalancer(filepath.Join(t.TempDir(), "list.json"), gone.Addr().String()).Serve(listener)
	if answer := ask(t, listener); answer != "" {
		t.Errorf("found %q", answer)
	}
}
