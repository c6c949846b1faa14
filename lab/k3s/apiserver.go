package main

import (
	"context"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"metalworks/lab/k3s/internal/layout"
)

// publicListener listens on the local port, and says it is the public one: kube-apiserver publishes this port in the
// Endpoints of the Service `kubernetes`, and the launcher stands on the public port with API and supervisor.
type publicListener struct {
	net.Listener
	port int
}

func (l publicListener) Addr() net.Addr {
	address := *l.Listener.Addr().(*net.TCPAddr)
	address.Port = l.port
	return &address
}

// newAPIServerCommand is kube-apiserver, apart from the port that it publishes.
func newAPIServerCommand() *cobra.Command {
	opts := options.NewServerRunOptions()
	ctx := genericapiserver.SetupSignalContext()
	command := &cobra.Command{
		Use:          "kube-apiserver",
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			rest.SetDefaultWarningHandler(rest.NoWarnings{})
			if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
				return err
			}
			if err := logsapi.ValidateAndApply(opts.Logs, utilfeature.DefaultFeatureGate); err != nil {
				return err
			}
			return serveAPI(ctx, opts)
		},
	}
	for _, flags := range opts.Flags().FlagSets {
		command.Flags().AddFlagSet(flags)
	}
	return command
}

func serveAPI(ctx context.Context, opts *options.ServerRunOptions) error {
	completedOptions, err := opts.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completedOptions.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	config, err := app.NewConfig(completedOptions)
	if err != nil {
		return err
	}
	if port, err := strconv.Atoi(os.Getenv(layout.PublicPortVariable)); err == nil { // unset: not started by the launcher
		serving := config.KubeAPIs.ControlPlane.Generic.SecureServing
		serving.Listener = publicListener{serving.Listener, port}
	}
	completed, err := config.Complete()
	if err != nil {
		return err
	}
	chain, err := app.CreateServerChain(completed)
	if err != nil {
		return err
	}
	prepared, err := chain.PrepareRun()
	if err != nil {
		return err
	}
	return prepared.Run(ctx)
}
