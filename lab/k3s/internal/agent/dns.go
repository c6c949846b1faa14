package agent

import (
	"net"
	"time"

	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/relay"
)

const answerTimeout = 5 * time.Second

// ServeDNS relays DNS from the node's address to the resolver on the machine's loopback, if that is all it has.
// CoreDNS answers for the cluster, and asks here for the rest.
func ServeDNS(nodeIP, resolver string) error {
	servers := nameservers(resolvers[0])
	if resolver != layout.Agent("etc", "resolv.conf") || len(servers) == 0 {
		return nil
	}
	target := net.JoinHostPort(servers[0].String(), "53")
	packets, err := net.ListenPacket("udp", net.JoinHostPort(nodeIP, "53"))
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", net.JoinHostPort(nodeIP, "53"))
	if err != nil {
		return err
	}
	go relayPackets(packets, target)
	go relayStreams(streams, target)
	return nil
}

func relayPackets(packets net.PacketConn, target string) {
	buffer := make([]byte, 64<<10)
	for {
		n, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return
		}
		question := append([]byte{}, buffer[:n]...)
		go relayQuestion(packets, from, question, target)
	}
}

func relayQuestion(packets net.PacketConn, from net.Addr, question []byte, target string) {
	upstream, err := net.DialTimeout("udp", target, answerTimeout)
	if err != nil {
		return
	}
	defer func() { _ = upstream.Close() }()
	_ = upstream.SetDeadline(time.Now().Add(answerTimeout))
	if _, err := upstream.Write(question); err != nil {
		return
	}
	answer := make([]byte, 64<<10)
	if n, err := upstream.Read(answer); err == nil {
		_, _ = packets.WriteTo(answer[:n], from)
	}
}

func relayStreams(streams net.Listener, target string) {
	for {
		connection, err := streams.Accept()
		if err != nil {
			return
		}
		go func() {
			upstream, err := net.DialTimeout("tcp", target, answerTimeout)
			if err != nil {
				_ = connection.Close()
				return
			}
			relay.Splice(connection, upstream)
		}()
	}
}
