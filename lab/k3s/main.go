// Command k3s is the lab's stand-in for k3s: upstream Kubernetes, etcd and containerd in one executable that keeps
// the part of k3s's contract which the roles rely on (CONTRACT.md). It is for lab machines only.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/layout"
)

// version is set by the linker (build.py).
var version = "v0.0.0-unknown"

const usage = `The Metalworks lab's stand-in for k3s. It keeps k3s's contract; it is not k3s.

  k3s server [--KEY VALUE ...]   run a server (control plane and node)
  k3s agent [--KEY VALUE ...]    run a node
  k3s kubectl ...                kubectl, with /etc/rancher/k3s/k3s.yaml
  k3s ctr ...                    containerd's client, namespace k8s.io
  k3s token generate             print a random token
  k3s --version
`

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args
	if _, known := components[name]; !known && len(os.Args) > 1 {
		name, args = os.Args[1], os.Args[1:]
	}
	os.Exit(run(name, args))
}

func run(name string, args []string) int {
	if component, known := components[name]; known {
		os.Args = args
		return component(args)
	}
	switch name {
	case "server", "agent":
		return launch(config.Role(name), args[1:])
	case "token":
		return printToken(args[1:])
	case "--version", "-v", "version":
		fmt.Printf("k3s version %s (%s)\ngo version %s\n", version, "stand-in of the Metalworks lab", runtime.Version())
		return 0
	case "help", "--help", "-h", filepath.Base(os.Args[0]):
		fmt.Print(usage)
		return 0
	}
	fmt.Fprintf(os.Stderr, "k3s: the stand-in has no command %q\n\n%s", name, usage)
	return 1
}

// defaultEnv sets a variable that the user has not set.
func defaultEnv(name, value string) {
	if os.Getenv(name) == "" {
		_ = os.Setenv(name, value)
	}
}

func ctrEnvironment() {
	defaultEnv("CONTAINERD_ADDRESS", layout.ContainerdSocket)
	defaultEnv("CONTAINERD_NAMESPACE", "k8s.io")
}
