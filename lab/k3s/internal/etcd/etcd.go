// Package etcd runs the datastore's member of this server, and lets others in.
package etcd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
	"metalworks/lab/k3s/internal/supervisor"
)

const (
	tlsFolder  = layout.TLSFolder + "/etcd"
	joinedFile = layout.ServerDir + "/db/joined" // says that this member is a full one
	nameFile   = layout.ServerDir + "/db/name"
)

// Exists says whether this server already has a datastore: from then on the data decides, not the configuration.
func Exists() bool {
	_, err := os.Stat(joinedFile)
	return err == nil
}

// MarkJoined records that the datastore is complete.
func MarkJoined() error { return pki.WriteFile(joinedFile, nil, 0o600) }

// MemberName is this server's name in the datastore's cluster: unlike the node's, it is new after the disk was wiped.
func MemberName(node string) (string, error) {
	if content, err := os.ReadFile(nameFile); err == nil {
		return string(content), nil
	}
	raw := make([]byte, 4)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	name := node + "-" + hex.EncodeToString(raw)
	return name, pki.WriteFile(nameFile, []byte(name), 0o600)
}

// PeerURL is where other members find this one.
func PeerURL(ip string) string { return fmt.Sprintf("https://%s:%d", ip, layout.EtcdPeer) }

// Arguments are etcd's. The cluster's list is read by a new member only.
//
// A server that is alone waits for one or two election timeouts at every restart, so it has a short one. Several
// servers share the lab's processors, and a slow moment must not cost the leader.
func Arguments(name, ip, initialCluster, state string, several bool) []string {
	beat := 50
	if several {
		beat = 300
	}
	client := fmt.Sprintf("https://127.0.0.1:%d,https://%s:%d", layout.EtcdClient, ip, layout.EtcdClient)
	return []string{
		"--name=" + name,
		"--data-dir=" + layout.EtcdFolder,
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + fmt.Sprintf("https://%s:%d", ip, layout.EtcdClient),
		"--listen-peer-urls=" + PeerURL(ip),
		"--initial-advertise-peer-urls=" + PeerURL(ip),
		"--initial-cluster=" + initialCluster,
		"--initial-cluster-state=" + state,
		"--client-cert-auth", "--peer-client-cert-auth",
		"--trusted-ca-file=" + tlsFolder + "/server-ca.crt",
		"--cert-file=" + tlsFolder + "/server-client.crt", "--key-file=" + tlsFolder + "/server-client.key",
		"--peer-trusted-ca-file=" + tlsFolder + "/peer-ca.crt",
		"--peer-cert-file=" + tlsFolder + "/peer-server-client.crt",
		"--peer-key-file=" + tlsFolder + "/peer-server-client.key",
		"--listen-metrics-urls=http://127.0.0.1:2381",
		"--snapshot-count=10000", "--log-level=error",
		fmt.Sprintf("--heartbeat-interval=%d", beat), fmt.Sprintf("--election-timeout=%d", 10*beat),
	}
}

// Single is the initial cluster of a first server.
func Single(name, ip string) string { return name + "=" + PeerURL(ip) }

// Members lets servers join and leave, through the member of this server.
type Members struct {
	// NodeExists tells whether a node of this name is in the cluster.
	NodeExists func(ctx context.Context, node string) (bool, error)
}

func connect() (*clientv3.Client, error) {
	certificate, err := tls.LoadX509KeyPair(tlsFolder+"/client.crt", tlsFolder+"/client.key")
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(tlsFolder, "server-ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return clientv3.New(clientv3.Config{
		Endpoints:   []string{fmt.Sprintf("https://127.0.0.1:%d", layout.EtcdClient)},
		DialTimeout: 5 * time.Second,
		TLS:         &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, RootCAs: roots},
	})
}

func withClient(ctx context.Context, use func(context.Context, *clientv3.Client) error) error {
	client, err := connect()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return use(ctx, client)
}

// AddMember lets a server in as a learner, which cannot harm the quorum, and returns its --initial-cluster. It may be
// asked again by a server that was interrupted.
func (m *Members) AddMember(ctx context.Context, request supervisor.MemberRequest) (string, error) {
	var cluster string
	err := withClient(ctx, func(ctx context.Context, client *clientv3.Client) error {
		list, err := client.MemberList(ctx)
		if err != nil {
			return err
		}
		known, err := m.find(ctx, client, list.Members, request)
		if err != nil {
			return err
		}
		if !known {
			if _, err := client.MemberAddAsLearner(ctx, []string{request.PeerURL}); err != nil {
				return err
			}
		}
		if list, err = client.MemberList(ctx); err != nil {
			return err
		}
		cluster = initialCluster(list.Members, request)
		return nil
	})
	return cluster, err
}

// find tells whether the joiner's place is there already, and removes what a wiped machine of this name left behind.
func (m *Members) find(
	ctx context.Context, client *clientv3.Client, members []*etcdserverpb.Member, request supervisor.MemberRequest,
) (bool, error) {
	for _, member := range members {
		samePeer := len(member.PeerURLs) == 1 && member.PeerURLs[0] == request.PeerURL
		if !samePeer {
			continue
		}
		if member.Name == "" || member.Name == request.Member {
			return true, nil // added before, not started yet or started by this joiner
		}
		exists, err := m.NodeExists(ctx, request.Node)
		if err != nil {
			return false, err
		}
		if exists {
			return false, supervisor.Refusal{Reason: fmt.Sprintf("a server of the name or address of %s is a member "+
				"of the datastore (%s): if its disk was wiped, delete the old node first: kubectl delete node %s",
				request.Node, member.Name, request.Node)}
		}
		if _, err := client.MemberRemove(ctx, member.ID); err != nil {
			return false, err
		}
	}
	return false, nil
}

func initialCluster(members []*etcdserverpb.Member, request supervisor.MemberRequest) string {
	var parts []string
	for _, member := range members {
		name := member.Name
		if len(member.PeerURLs) > 0 && member.PeerURLs[0] == request.PeerURL {
			name = request.Member
		}
		for _, url := range member.PeerURLs {
			parts = append(parts, name+"="+url)
		}
	}
	return strings.Join(parts, ",")
}

// Promote gives a learner its vote once it has caught up.
func (m *Members) Promote(ctx context.Context, name string) error {
	return withClient(ctx, func(ctx context.Context, client *clientv3.Client) error {
		list, err := client.MemberList(ctx)
		if err != nil {
			return err
		}
		for _, member := range list.Members {
			if member.Name != name {
				continue
			}
			if !member.IsLearner {
				return nil
			}
			_, err := client.MemberPromote(ctx, member.ID)
			if errors.Is(err, rpctypes.ErrMemberNotLearner) {
				return nil
			}
			return err
		}
		return fmt.Errorf("member %s has not started yet", name)
	})
}

// RemoveNode takes a deleted node's member out, so that the quorum counts only servers that exist.
func (m *Members) RemoveNode(ctx context.Context, node, ip string) error {
	return withClient(ctx, func(ctx context.Context, client *clientv3.Client) error {
		list, err := client.MemberList(ctx)
		if err != nil {
			return err
		}
		for _, member := range list.Members {
			if len(member.PeerURLs) == 1 && member.PeerURLs[0] == PeerURL(ip) &&
				strings.HasPrefix(member.Name, node+"-") {
				_, err := client.MemberRemove(ctx, member.ID)
				if errors.Is(err, rpctypes.ErrMemberNotFound) {
					return nil // another server was faster
				}
				return err
			}
		}
		return nil
	})
}
