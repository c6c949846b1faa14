package etcd

import (
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"metalworks/lab/k3s/internal/supervisor"
)

func TestInitialCluster(t *testing.T) {
	joiner := supervisor.MemberRequest{Node: "c", Member: "c-1", PeerURL: PeerURL("192.0.2.3")}
	members := []*etcdserverpb.Member{
		{Name: "a-1", PeerURLs: []string{PeerURL("192.0.2.1")}},
		{Name: "b-1", PeerURLs: []string{PeerURL("192.0.2.2")}},
		{Name: "", PeerURLs: []string{PeerURL("192.0.2.3")}}, // a new member has no name before it starts
	}
	wanted := "a-1=https://192.0.2.1:2380,b-1=https://192.0.2.2:2380,c-1=https://192.0.2.3:2380"
	if found := initialCluster(members, joiner); found != wanted {
		t.Errorf("found %s", found)
	}
}
