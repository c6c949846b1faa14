package layout

import (
	"strings"
	"testing"
)

func TestTheDataFolderMovesEverythingInIt(t *testing.T) {
	UseDataDir("/srv/k3s")
	t.Cleanup(func() { UseDataDir(DefaultDataDir) })
	for _, path := range []string{
		Data(), Server("db"), Agent("etc"), TLS("etcd"), Credentials(), ProgramFolder(), TokenFile(), ManifestFolder(),
		EtcdFolder("name"), ImageFolder(), StorageFolder(),
	} {
		if path != "/srv/k3s" && !strings.HasPrefix(path, "/srv/k3s/") {
			t.Errorf("%s does not lie in the data folder", path)
		}
	}
}
