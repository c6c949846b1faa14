// Package process runs the components as children that never outlive the launcher.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Group is the set of running components. The first one that ends unasked is reported on Ended.
type Group struct {
	Ended chan error

	mutex    sync.Mutex
	stopping bool
	children map[string]*child
}

type child struct {
	command *exec.Cmd
	done    chan struct{}
}

// NewGroup returns an empty group.
func NewGroup() *Group {
	return &Group{Ended: make(chan error, 16), children: map[string]*child{}}
}

// Start runs this same executable as the component `name`.
func (g *Group) Start(name string, args []string, env ...string) error {
	command := exec.Command("/proc/self/exe", args...)
	command.Args[0] = name
	command.Env = append(os.Environ(), env...)
	command.Env = append(command.Env, "NOTIFY_SOCKET=") // only the launcher speaks to systemd
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	output, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	command.Stdout, command.Stderr = writer, writer
	started := make(chan error)
	entry := &child{command: command, done: make(chan struct{})}
	go g.supervise(name, entry, started)
	err = <-started
	_ = writer.Close()
	if err != nil {
		_ = output.Close()
		return fmt.Errorf("%s does not start: %w", name, err)
	}
	go copyLines(name, output)
	return nil
}

// supervise holds one OS thread for the life of the child: Pdeathsig fires when the thread that forked ends.
func (g *Group) supervise(name string, entry *child, started chan<- error) {
	runtime.LockOSThread()
	g.mutex.Lock()
	if g.stopping {
		g.mutex.Unlock()
		started <- errors.New("the service is stopping")
		return
	}
	err := entry.command.Start()
	if err == nil {
		g.children[name] = entry
	}
	g.mutex.Unlock()
	started <- err
	if err != nil {
		return
	}
	err = entry.command.Wait()
	close(entry.done)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if !g.stopping {
		g.Ended <- fmt.Errorf("%s ended (%v): its last lines above say why", name, describe(err))
	}
}

func describe(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// Stop ends the children batch by batch, each with SIGTERM first and SIGKILL after the grace period.
func (g *Group) Stop(grace time.Duration, batches ...[]string) {
	g.mutex.Lock()
	g.stopping = true
	g.mutex.Unlock()
	for _, batch := range batches {
		g.stopBatch(batch, grace)
	}
}

func (g *Group) stopBatch(names []string, grace time.Duration) {
	deadline := time.After(grace)
	for _, name := range names {
		if entry, found := g.children[name]; found {
			_ = entry.command.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, name := range names {
		entry, found := g.children[name]
		if !found {
			continue
		}
		select {
		case <-entry.done:
		case <-deadline:
			deadline = closedTimer()
			_ = entry.command.Process.Kill()
			<-entry.done
		}
	}
}

func closedTimer() <-chan time.Time {
	timer := make(chan time.Time)
	close(timer)
	return timer
}

// copyLines sends a component's lines to the journal under its name.
func copyLines(name string, output io.ReadCloser) {
	defer func() { _ = output.Close() }()
	reader := bufio.NewReaderSize(output, 16<<10)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			fmt.Fprintf(os.Stderr, "%s: %s", name, line)
			if line[len(line)-1] != '\n' {
				fmt.Fprintln(os.Stderr)
			}
		}
		if err != nil {
			return
		}
	}
}

// CancelOnEnd ends the context with the first component that ends unasked.
func CancelOnEnd(ctx context.Context, children *Group, cancel context.CancelCauseFunc) {
	select {
	case err := <-children.Ended:
		cancel(err)
	case <-ctx.Done():
	}
}

// Reason is why the context ended, if a component ended it; otherwise the error itself.
func Reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
