package ftpclient_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestNobodyIsAskedWhilePassiveWorks: neither the gateway nor anybody else, though the server takes its time.
func TestNobodyIsAskedWhilePassiveWorks(t *testing.T) {
	t.Parallel()
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true, NATPMP: true})
	igd := ftptest.NewIGD(t, ftptest.IGDOptions{})
	stun := ftptest.NewSTUN(t, ftptest.STUNOptions{})
	locator := extip.NewLocator(extip.Options{
		Gateway: true, Router: gateway.Addr, UPnPSearch: igd.Search(), STUN: []string{stun.Addr.String()},
	})
	t.Cleanup(func() { locator.Close(context.Background()) })
	slow := passive
	slow.Delay = 300 * time.Millisecond
	conn, _ := connect(t, session("", steps{slow, {Expect: "STOR /d/f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, Want: "hello", End: ftptest.Close}},
		{Send: "226 done"}}), func(o *ftpclient.Options) { o.Data.Locator = locator })
	if err := putHello(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if asked := gateway.Requests(); asked != (ftptest.GatewayRequests{}) || igd.Count("search") != 0 || stun.Requests() != 0 {
		t.Errorf("the gateway got %+v and %d searches, the STUN server %d requests", asked, igd.Count("search"), stun.Requests())
	}
}

// TestTheServersViewCountsBeforeSTUN: who has several exits is known to a STUN server by another address than to the FTP
// server, which refuses that.
func TestTheServersViewCountsBeforeSTUN(t *testing.T) {
	t.Parallel()
	stun := ftptest.NewSTUN(t, ftptest.STUNOptions{See: func(from netip.AddrPort) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("203.0.113.9"), from.Port())
	}})
	locator := extip.NewLocator(extip.Options{STUN: []string{stun.Addr.String()}})
	script := talk("STAT", "211-status\n Connected from 203.0.113.2\n211 End", "CWD /d", "250 ok", "PORT 203,0,113,2,*", "500 no",
		"CWD /d", "250 ok", "EPRT |1|203.0.113.2|*", "500 no")
	conn, _ := connect(t, session("", script), activeOnly, func(o *ftpclient.Options) {
		port := freePort(t)
		o.Data.Locator, o.Data.ActivePorts = locator, ftpclient.PortRange{First: port, Last: port}
	})
	outcome{class: ftpclient.ClassSetup}.check(t, putHello(t.Context(), conn))
	survey, err := conn.Survey(t.Context())
	if err != nil || survey.Verdict.NAT != extip.NATSeveralExits {
		t.Errorf("the STUN server was not heard: %+v, %v", survey, err)
	}
}
