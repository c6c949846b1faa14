package relay

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Balancer listens on this node and connects to whichever server answers, so that a node outlives the loss of one.
type Balancer struct {
	path    string
	mutex   sync.Mutex
	servers []string // the one that answered last stands first
}

// NewBalancer starts with the servers kept in path from the last run, and the one of the configuration.
func NewBalancer(path, configured string) *Balancer {
	b := &Balancer{path: path}
	if content, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(content, &b.servers) // an unreadable list is replaced by the next refresh
	}
	if !slices.Contains(b.servers, configured) {
		b.servers = append(b.servers, configured)
	}
	return b
}

// SetServers replaces the list by what the cluster says, and keeps it for the next start.
func (b *Balancer) SetServers(servers []string) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(servers) == 0 || slices.Equal(slices.Sorted(slices.Values(servers)), slices.Sorted(slices.Values(b.servers))) {
		return nil
	}
	ordered := slices.DeleteFunc(slices.Clone(b.servers), func(s string) bool { return !slices.Contains(servers, s) })
	for _, server := range servers {
		if !slices.Contains(ordered, server) {
			ordered = append(ordered, server)
		}
	}
	b.servers = ordered
	content, err := json.Marshal(ordered)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(b.path, content, 0o600)
}

// Serve relays until the listener is closed.
func (b *Balancer) Serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go b.relay(connection)
	}
}

func (b *Balancer) relay(connection net.Conn) {
	b.mutex.Lock()
	servers := slices.Clone(b.servers)
	b.mutex.Unlock()
	for _, server := range servers {
		if upstream, err := Dialer().Dial("tcp", server); err == nil {
			b.prefer(server)
			Splice(connection, upstream)
			return
		}
	}
	_ = connection.Close()
}

func (b *Balancer) prefer(server string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if i := slices.Index(b.servers, server); i > 0 {
		b.servers = slices.Concat([]string{server}, b.servers[:i], b.servers[i+1:])
	}
}
