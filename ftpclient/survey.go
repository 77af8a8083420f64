package ftpclient

import (
	"context"
	"net/netip"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

// Survey is what is known about the way between this client and its server, as far as it
// matters for active data connections.
type Survey struct {
	// Local and Server are the ends of the control connection.
	Local, Server netip.Addr
	// View is this client's address as the server sees it, the zero Addr if it does not tell.
	View netip.Addr
	// ViewFrom is the command whose reply told the View: "STAT", "PORT" or "EPRT".
	ViewFrom string
	// Findings are what the sources of external addresses say, the server's view among them;
	// SourceErrors tells why others say nothing, by their names.
	Findings     []extip.Finding
	SourceErrors map[string]error
	Verdict      extip.Verdict
	Network      extip.Network
	// Mapper is the protocol by which the gateway opens ports (a source of package extip), "" if
	// it does not.
	Mapper string
}

// Survey asks the server and the sources of the Locator who this client is outside. It may
// replace the control connection, if the server does not get over the question.
func (c *Conn) Survey(ctx context.Context) (Survey, error) { panic("skeleton") }
