// Package relay carries TCP connections to where they belong without looking into them.
package relay

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Splice copies both ways until both sides are done, and closes both.
func Splice(a, b net.Conn) {
	var both sync.WaitGroup
	copyOne := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
			_ = half.CloseWrite() // the other direction may still have something to say
			return
		}
		_ = to.Close()
		_ = from.Close()
	}
	both.Go(func() { copyOne(a, b) })
	both.Go(func() { copyOne(b, a) })
	both.Wait()
	_ = a.Close()
	_ = b.Close()
}

// Dialer opens connections that notice within seconds that the other machine is gone: watches would wait for minutes.
func Dialer() *net.Dialer {
	return &net.Dialer{
		Timeout: 3 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: 4 * time.Second, Interval: 2 * time.Second, Count: 3,
		},
		Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 10_000)
			})
		},
	}
}
