package main

import (
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

const (
	clientAddress = "10.99.0.1"
	serverAddress = "10.99.0.2"
)

// line is a client's host, a server's host, and what joins them.
type line struct{ client, server *ftptest.Host }

// newLine builds two hosts that see each other after a round trip of that many milliseconds, in all connections and both ways.
func newLine(s *scope, milliseconds int) *line {
	lab := ftptest.NewLab(s)
	l := &line{client: lab.Host("client"), server: lab.Host("server")}
	if milliseconds == 0 {
		lab.Link(l.client, clientAddress+"/24", l.server, serverAddress+"/24")
	} else {
		delayed(s, l.client, clientAddress, l.server, serverAddress, time.Duration(milliseconds)*time.Millisecond/2)
	}
	for _, host := range []*ftptest.Host{l.client, l.server} {
		// Else the kernel would begin where the client before has ended.
		host.Set("ipv4/tcp_no_metrics_save=1")
		host.Set("ipv4/ip_local_port_range=10000 65535")
	}
	return l
}

// interfaceName is that of the client's end.
func (l *line) interfaceName() string { return l.client.Link(l.server) }
