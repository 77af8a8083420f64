package ftptest_test

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// ask sends one packet to the gateway from 127.0.0.1 and returns the answer; both in hexadecimal.
func ask(t *testing.T, gateway *ftptest.Gateway, packet string) string {
	t.Helper()
	request, err := hex.DecodeString(strings.ReplaceAll(packet, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", gateway.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 2000)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(answer[:n])
}

func TestTheGatewayRefusesAsRoutersDo(t *testing.T) {
	const here, elsewhere = "00000000000000000000ffff7f000001", "00000000000000000000ffff0a000001"
	const nonce, anyAddress = "000102030405060708090a0b", "00000000000000000000ffff00000000"
	both := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true, NATPMP: true})
	pcp := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true})
	natpmp := ftptest.NewGateway(t, ftptest.GatewayOptions{NATPMP: true})
	for name, test := range map[string]struct {
		gateway *ftptest.Gateway
		packet  string
		want    string // the beginning of the answer, with the result code
	}{
		"a NAT between the client and the gateway": {both, "02010000 00000e10" + elsewhere + nonce + "06000000 c3500000" + anyAddress, "0281000c"},
		"UDP":                      {both, "02010000 00000e10" + here + nonce + "11000000 c3500000" + anyAddress, "02810009"},
		"an operation of PCP":      {both, "02020000 00000e10" + here, "02820004"},
		"MAP without a body":       {both, "02010000 00000e10" + here, "02810003"},
		"half a header":            {both, "02010000 00000e10", "02810003"},
		"an operation of NAT-PMP":  {both, "00070000", "00870005"},
		"NAT-PMP where PCP is":     {pcp, "0000", "02800001"},
		"PCP where NAT-PMP is":     {natpmp, "02000000 00000000" + here, "00800001"},
		"a version of nobody's":    {both, "09000000 00000000" + here, "02800001"},
		"ANNOUNCE is not refused":  {pcp, "02000000 00000000" + here, "02800000"},
		"nor is a good MAP in PCP": {pcp, "02010000 00000e10" + here + nonce + "06000000 c3500000" + anyAddress, "02810000"},
		"nor one in NAT-PMP":       {natpmp, "00020000 c3500000 00000e10", "00820000"},
	} {
		if got := ask(t, test.gateway, test.packet); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: have %s, want %s", name, got, test.want)
		}
	}
	for _, gateway := range []*ftptest.Gateway{pcp, natpmp} {
		open := gateway.Mappings()
		if len(open) != 1 || open[0].Internal != netip.MustParseAddrPort("127.0.0.1:50000") || gateway.Requests().Map != 1 {
			t.Errorf("open: %+v", open)
		}
	}
}

func TestTheGatewayGrantsTheWantedPortIfItIsFree(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{NATPMP: true})
	holder, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := holder.Addr().(*net.TCPAddr).Port
	wish := hex.EncodeToString([]byte{byte(port >> 8), byte(port)})
	if got := ask(t, gateway, "00020000 0015"+wish+"00000e10"); got[20:24] == wish {
		t.Errorf("granted although it is taken: %s", got)
	}
	holder.Close()
	if got := ask(t, gateway, "00020000 0016"+wish+"00000e10"); got[20:24] != wish {
		t.Errorf("not granted although it is free: %s", got)
	}
}
