package main

import (
	"context"
	"fmt"
	"os"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
	containerd "github.com/containerd/containerd/v2/cmd/containerd/command"
	ctr "github.com/containerd/containerd/v2/cmd/ctr/app"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"metalworks/lab/k3s/internal/layout"
)

// components are the programs inside this one, by the name they are called with.
var components = map[string]func(args []string) int{
	"kube-apiserver":          func([]string) int { return cli.Run(newAPIServerCommand()) },
	"kube-controller-manager": func([]string) int { return cli.Run(controllermanager.NewControllerManagerCommand()) },
	"kube-scheduler":          func([]string) int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kube-proxy":              func([]string) int { return cli.Run(proxy.NewProxyCommand()) },
	"kubelet":                 func([]string) int { return cli.Run(newKubeletCommand()) },
	"kubectl":                 runKubectl,
	"etcd":                    func(args []string) int { etcdmain.Main(args); return 0 },
	"containerd":              runContainerd,
	"ctr":                     runCtr,
}

func newKubeletCommand() *cobra.Command {
	return kubelet.NewKubeletCommand(context.Background())
}

func runKubectl([]string) int {
	if _, err := os.Stat(layout.Kubeconfig); err == nil {
		defaultEnv("KUBECONFIG", layout.Kubeconfig)
	}
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
		return 1
	}
	return 0
}

func runContainerd(args []string) int {
	// etcd's packages have registered metrics of the same names in the default registry.
	prometheus.DefaultRegisterer = prometheus.NewRegistry()
	return report("containerd", containerd.App().Run(args))
}

func runCtr(args []string) int {
	ctrEnvironment()
	return report("ctr", ctr.New().Run(args))
}

func report(name string, err error) int {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, err)
		return 1
	}
	return 0
}
