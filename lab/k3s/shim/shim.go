// Package shim carries containerd's shim, which must be a small program of its own: one runs beside every pod.
package shim

import (
	_ "embed"
	"os"
	"path/filepath"
)

// Name is what containerd looks for on its PATH.
const Name = "containerd-shim-runc-v2"

//go:embed containerd-shim-runc-v2
var program []byte

// Extract writes the shim into folder. A running shim keeps its old file, because the new one is renamed over it.
func Extract(folder string) error {
	path := filepath.Join(folder, Name)
	if found, err := os.Stat(path); err == nil && found.Size() == int64(len(program)) {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", program, 0o755); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
