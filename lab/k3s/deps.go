package main
import (
 _ "github.com/containerd/containerd/v2/cmd/containerd/command"
 _ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
 _ "github.com/containerd/containerd/v2/cmd/ctr/app"
 _ "go.etcd.io/etcd/server/v3/etcdmain"
)
