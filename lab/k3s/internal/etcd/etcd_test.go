package etcd

import (
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"metalworks/lab/k3s/internal/join"
	"metalworks/lab/k3s/internal/layout"
)

func TestInitialCluster(t *testing.T) {
	joiner := join.MemberRequest{Node: "c", Member: "c-1", PeerURL: PeerURL("192.0.2.3")}
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

// useFolder puts the files of k3s below a folder of the test's own.
func useFolder(t *testing.T) {
	t.Helper()
	layout.UseDataDir(t.TempDir())
	t.Cleanup(func() { layout.UseDataDir(layout.DefaultDataDir) })
}

func TestTheNameIsThereBeforeTheDatastore(t *testing.T) {
	useFolder(t)
	name, err := MemberName("a")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := MemberName("a"); err != nil || again != name {
		t.Errorf("found %q, %v: wanted %q again", again, err, name)
	}
	if content, err := os.ReadFile(layout.Server("db", "etcd", "name")); err != nil || string(content) != name {
		t.Errorf("found %q, %v", content, err)
	}
	if Embedded() || Exists() {
		t.Error("a name is no datastore")
	}
}

func TestAServerThatWasAloneTakesItsDataAlong(t *testing.T) {
	useFolder(t)
	if _, err := MemberName("a"); err != nil {
		t.Fatal(err)
	}
	alone, err := Folder(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(alone, "member", "wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	if Embedded() || !exists(layout.Server("db", "state.db")) {
		t.Error("a server alone must look like one with sqlite")
	}
	for range 2 { // the second start finds nothing left to migrate
		together, err := Folder(true)
		if err != nil || together != layout.EtcdFolder() {
			t.Fatalf("found %q, %v", together, err)
		}
		if !Embedded() || exists(alone) || exists(layout.Server("db", "state.db")) {
			t.Error("the data must lie where the embedded etcd has it, and nowhere else")
		}
	}
	if !exists(layout.Server("db", "state.db.migrated")) {
		t.Error("k3s keeps the file of sqlite under another name")
	}
}
