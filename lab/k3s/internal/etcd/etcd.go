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
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"metalworks/lab/k3s/internal/join"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
)

// A server that is alone has its data where k3s's sqlite would be, and the file that sqlite would be. The stand-in has
// no sqlite: the folder is a datastore of etcd's that others never see.
func aloneFolder() string { return layout.Server("db", "alone") }
func aloneFile() string   { return layout.Server("db", "state.db") }

// joinedFile says that this server's datastore is complete: it is alone, or its member is a full one.
func joinedFile() string { return layout.Server("db", "joined") }

// Exists says whether this server already has a datastore: from then on the data decides, not the configuration.
func Exists() bool { return exists(joinedFile()) }

// Embedded says whether the datastore is etcd's, which takes more members. k3s asks for the same folder.
func Embedded() bool { return exists(layout.Server("db", "etcd", "member", "wal")) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// MarkJoined records that the datastore is complete.
func MarkJoined() error { return pki.WriteFile(joinedFile(), nil, 0o600) }

// Folder returns where the datastore lies, and moves the data of a server that was alone when it is to take others in.
func Folder(several bool) (string, error) {
	if !several {
		return aloneFolder(), pki.WriteFile(aloneFile(), nil, 0o600)
	}
	if !exists(aloneFolder()) || Embedded() {
		return layout.EtcdFolder(), nil
	}
	log.Print("Migrating content from sqlite to etcd")
	if err := os.Rename(filepath.Join(aloneFolder(), "member"), layout.EtcdFolder("member")); err != nil {
		return "", err
	}
	if err := os.RemoveAll(aloneFolder()); err != nil {
		return "", err
	}
	return layout.EtcdFolder(), os.Rename(aloneFile(), aloneFile()+".migrated")
}

// MemberName is this server's name in the datastore's cluster: unlike the node's, it is new after the disk was wiped.
// k3s writes the file at every start of a server, whatever its datastore is, and before a join can fail.
func MemberName(node string) (string, error) {
	nameFile := layout.EtcdFolder("name")
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
func Arguments(name, ip, folder, initialCluster, state string, several bool) []string {
	beat := 50
	if several {
		beat = 300
	}
	client := fmt.Sprintf("https://127.0.0.1:%d,https://%s:%d", layout.EtcdClient, ip, layout.EtcdClient)
	return []string{
		"--name=" + name,
		"--data-dir=" + folder,
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + fmt.Sprintf("https://%s:%d", ip, layout.EtcdClient),
		"--listen-peer-urls=" + PeerURL(ip),
		"--initial-advertise-peer-urls=" + PeerURL(ip),
		"--initial-cluster=" + initialCluster,
		"--initial-cluster-state=" + state,
		"--client-cert-auth", "--peer-client-cert-auth",
		"--trusted-ca-file=" + layout.TLS("etcd") + "/server-ca.crt",
		"--cert-file=" + layout.TLS("etcd") + "/server-client.crt", "--key-file=" + layout.TLS("etcd") + "/server-client.key",
		"--peer-trusted-ca-file=" + layout.TLS("etcd") + "/peer-ca.crt",
		"--peer-cert-file=" + layout.TLS("etcd") + "/peer-server-client.crt",
		"--peer-key-file=" + layout.TLS("etcd") + "/peer-server-client.key",
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
	certificate, err := tls.LoadX509KeyPair(layout.TLS("etcd", "client.crt"), layout.TLS("etcd", "client.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(layout.TLS("etcd", "server-ca.crt"))
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
func (m *Members) AddMember(ctx context.Context, request join.MemberRequest) (string, error) {
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
	ctx context.Context, client *clientv3.Client, members []*etcdserverpb.Member, request join.MemberRequest,
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
			return false, join.Refusal{Reason: fmt.Sprintf("a server of the name or address of %s is a member "+
				"of the datastore (%s): if its disk was wiped, delete the old node first: kubectl delete node %s",
				request.Node, member.Name, request.Node)}
		}
		if _, err := client.MemberRemove(ctx, member.ID); err != nil {
			return false, err
		}
	}
	return false, nil
}

func initialCluster(members []*etcdserverpb.Member, request join.MemberRequest) string {
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
