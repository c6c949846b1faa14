// Package notify tells systemd how the service is doing (sd_notify).
package notify

import (
	"net"
	"os"
)

// Ready says that the service has started.
func Ready() error { return send("READY=1") }

// Status shows one line in `systemctl status`.
func Status(text string) error { return send("STATUS=" + text) }

func send(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if path[0] == '@' { // abstract socket
		path = "\x00" + path[1:]
	}
	connection, err := net.Dial("unixgram", path)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	_, err = connection.Write([]byte(state))
	return err
}
