// Package supervisor is how nodes join: the side that answers on every server, and the side that asks.
package supervisor

import "metalworks/lab/k3s/internal/config"

// Addresses of the supervisor.
const (
	pathCA        = "/cacerts"
	pathNode      = "/v1-k3s/node"
	pathBootstrap = "/v1-k3s/server-bootstrap"
	pathMember    = "/db/member"
	pathPromote   = "/db/promote"
)

// NodeRequest is what a node says of itself. Requests are certificate requests by name, see Certificates.
type NodeRequest struct {
	Name     string
	IP       string
	Password string
	Requests map[string][]byte
}

// NodeReply is all that a node needs to run.
type NodeReply struct {
	Cluster      config.Cluster
	ServerCA     []byte
	ClientCA     []byte
	Certificates map[string][]byte
}

// BootstrapRequest is what a joining server says of itself.
type BootstrapRequest struct {
	Name    string
	Cluster config.Cluster
}

// BootstrapReply carries the keys that all servers share: content by path below the server's folder.
type BootstrapReply struct {
	Files map[string][]byte
}

// MemberReply is etcd's --initial-cluster.
type MemberReply struct {
	InitialCluster string
}
