package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"

	"metalworks/lab/k3s/internal/agent"
	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/registries"
	"metalworks/lab/k3s/internal/server"
	"metalworks/lab/k3s/internal/token"
)

// launch runs a node until it is told to stop, or cannot go on.
func launch(role config.Role, arguments []string) int {
	log.SetFlags(0) // the journal has the time
	klog.LogToStderr(true)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err := runNode(ctx, role, arguments); err != nil {
		fmt.Fprintf(os.Stderr, "k3s %s: %v\n", role, err)
		return 1
	}
	return 0
}

func runNode(ctx context.Context, role config.Role, arguments []string) error {
	settings, err := config.Read(role, arguments)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("must run as root: start it with systemctl or sudo")
	}
	layout.UseDataDir(settings.DataDir)
	if settings.Registries, err = registries.Read(layout.RegistriesFile); err != nil {
		return err
	}
	if err := agent.CheckTools(); err != nil {
		return err
	}
	if err := agent.Identify(settings); err != nil {
		return err
	}
	log.Printf("k3s %s (stand-in of the Metalworks lab), %s %s at %s", version, role, settings.NodeName, settings.NodeIP)
	if role == config.Server {
		return server.Run(ctx, settings)
	}
	return agent.Run(ctx, settings)
}

// printToken is `k3s token generate`; join tokens of kubeadm's kind are not in the contract.
func printToken(arguments []string) int {
	if len(arguments) != 1 || arguments[0] != "generate" {
		fmt.Fprintln(os.Stderr, "k3s token: the stand-in has only: k3s token generate")
		return 1
	}
	secret, err := token.Generate()
	if err != nil {
		fmt.Fprintf(os.Stderr, "k3s token: %v\n", err)
		return 1
	}
	fmt.Println(secret)
	return 0
}
