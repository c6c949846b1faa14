package supervisor

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/join"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
)

// Datastore is the part of etcd that a joining server needs.
type Datastore interface {
	AddMember(ctx context.Context, request join.MemberRequest) (string, error)
	Promote(ctx context.Context, member string) error
}

// NodePasswords remembers the password of each node name.
type NodePasswords interface {
	Check(ctx context.Context, node, password string) error
}

// Server answers nodes and servers that join.
type Server struct {
	Secret    string
	Clustered bool // the datastore accepts more members
	Cluster   config.Cluster
	ServerCA  *pki.CA
	ClientCA  *pki.CA
	Shared    []string // files that all servers share, below the server's folder
	Passwords NodePasswords
	Datastore Datastore
}

// Handler routes the supervisor's requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathCA, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(s.ServerCA.PEM) })
	mux.HandleFunc("POST "+pathNode, guarded(s, "node server", s.Node))
	mux.HandleFunc("POST "+pathBootstrap, guarded(s, "server", s.bootstrap))
	mux.HandleFunc("POST "+pathMember, guarded(s, "server", s.addMember))
	mux.HandleFunc("POST "+pathPromote, guarded(s, "server", s.promote))
	return mux
}

// guarded lets in those who know the secret, and turns a function of a request into a handler.
func guarded[In, Out any](s *Server, users string, answer func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, secret, _ := r.BasicAuth()
		if !slices.Contains(strings.Fields(users), user) || subtle.ConstantTimeCompare([]byte(secret), []byte(s.Secret)) != 1 {
			http.Error(w, "not authorized: the token is not valid for this cluster", http.StatusUnauthorized)
			return
		}
		var request In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply, err := answer(r.Context(), request)
		if err != nil {
			log.Printf("supervisor: %s %s: %v", r.RemoteAddr, r.URL.Path, err)
			status := http.StatusServiceUnavailable
			if errors.As(err, &join.Refusal{}) {
				status = http.StatusForbidden
			}
			http.Error(w, err.Error(), status)
			return
		}
		_ = json.NewEncoder(w).Encode(reply)
	}
}

// Node certifies a node's keys, once its password is found right.
func (s *Server) Node(ctx context.Context, request NodeRequest) (NodeReply, error) {
	if err := s.Passwords.Check(ctx, request.Name, request.Password); err != nil {
		return NodeReply{}, err
	}
	reply := NodeReply{
		Cluster:      s.Cluster,
		ServerCA:     s.ServerCA.PEM,
		ClientCA:     s.ClientCA.PEM,
		Certificates: map[string][]byte{},
	}
	for name, certificate := range NodeCertificates(request.Name, request.IP) {
		ca := s.ClientCA
		if certificate.Server {
			ca = s.ServerCA
		}
		signed, err := ca.SignRequest(request.Requests[name], certificate)
		if err != nil {
			return NodeReply{}, join.Refusal{Reason: fmt.Sprintf("certificate request %s: %v", name, err)}
		}
		reply.Certificates[name] = signed
	}
	return reply, nil
}

// NodeCertificates are the certificates of a node by the name of their file. The server chooses the subjects.
func NodeCertificates(node, ip string) map[string]pki.Subject {
	return map[string]pki.Subject{
		"client-kubelet": {
			Name: "system:node:" + node, Groups: []string{"system:nodes"}, Client: true,
		},
		"serving-kubelet":       {Name: node, Hosts: []string{node, ip, "127.0.0.1", "localhost"}, Server: true},
		"client-kube-proxy":     {Name: "system:kube-proxy", Client: true},
		"client-k3s-controller": {Name: "system:k3s-controller", Client: true},
	}
}

func (s *Server) bootstrap(_ context.Context, request BootstrapRequest) (BootstrapReply, error) {
	if !s.Clustered {
		return BootstrapReply{}, join.Refusal{Reason: "this server runs alone: only a first server with cluster-init: true " +
			"accepts more servers; write it into its configuration and restart it"}
	}
	if differences := s.Cluster.Differences(request.Cluster); len(differences) > 0 {
		return BootstrapReply{}, join.Refusal{Reason: "critical configuration value mismatch between servers: " +
			strings.Join(differences, "; ") + ". Write the cluster's values into this server's configuration"}
	}
	reply := BootstrapReply{Files: map[string][]byte{}}
	for _, name := range s.Shared {
		content, err := os.ReadFile(layout.Server(name))
		if err != nil {
			return BootstrapReply{}, err
		}
		reply.Files[name] = content
	}
	return reply, nil
}

func (s *Server) addMember(ctx context.Context, request join.MemberRequest) (MemberReply, error) {
	members, err := s.Datastore.AddMember(ctx, request)
	return MemberReply{InitialCluster: members}, err
}

func (s *Server) promote(ctx context.Context, request join.MemberRequest) (struct{}, error) {
	return struct{}{}, s.Datastore.Promote(ctx, request.Member)
}
