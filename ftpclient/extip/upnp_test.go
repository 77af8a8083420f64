package extip_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

var (
	loopback = netip.MustParseAddr("127.0.0.1")
	internal = netip.MustParseAddrPort("127.0.0.1:50123")
	outside  = netip.MustParseAddr("203.0.113.7") // nothing is forwarded from there
)

func ask() extip.Request { return extip.Request{Internal: internal, Lifetime: time.Hour} }

// recorded starts a gateway with an external address that is not real, and a Mapper for it.
func recorded(t *testing.T, o ftptest.IGDOptions) (*ftptest.IGD, *extip.UPnP) {
	t.Helper()
	if !o.External.IsValid() {
		o.External = outside
	}
	gateway := ftptest.NewIGD(t, o)
	return gateway, extip.NewUPnP(loopback, loopback, "", gateway.Search())
}

func description(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "igd", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestUPnPUsesTheRightServiceOfEachGateway(t *testing.T) {
	down := ftptest.IGDLink{Status: "Disconnected", External: "203.0.113.99"} // the address it had
	for _, c := range []struct {
		name        string
		description string
		version     int
		links       map[string]ftptest.IGDLink
		control     string // by which the mapping was made
		action      string
	}{
		{name: "a plain gateway of version 2 chooses the port itself", version: 2, control: "/ctl/IPConn", action: "AddAnyPortMapping"},
		{name: "a plain gateway of version 1", version: 1, control: "/ctl/IPConn", action: "AddPortMapping"},
		{name: "Google Wifi has version 2", description: "google-wifi.xml", version: 2, control: "/ctl/IPConn", action: "AddAnyPortMapping"},
		{name: "pfSense has version 1", description: "pfsense.xml", version: 1, control: "/ctl/IPConn", action: "AddPortMapping"},
		{name: "of MikroTik's two uplinks the first is connected", description: "mikrotik-two-uplinks.xml", version: 1,
			control: "/upnp/control/yomkmsnooi/wanipconn-1", action: "AddPortMapping"},
		{name: "of MikroTik's two uplinks the second is connected", description: "mikrotik-two-uplinks.xml", version: 1,
			links:   map[string]ftptest.IGDLink{"/upnp/control/yomkmsnooi/wanipconn-1": down},
			control: "/upnp/control/xstnsgeuyh/wanipconn-7", action: "AddPortMapping"},
		{name: "the first uplink says that it is connected, but has no address", description: "mikrotik-two-uplinks.xml", version: 1,
			links:   map[string]ftptest.IGDLink{"/upnp/control/yomkmsnooi/wanipconn-1": {Status: "Connected"}},
			control: "/upnp/control/xstnsgeuyh/wanipconn-7", action: "AddPortMapping"},
		{name: "DD-WRT has PPP and IP, and colons in its control URLs", description: "ddwrt.xml", version: 1,
			control: "/uuid:0012-1707-c2e502000c00/WANIPConnection:1", action: "AddPortMapping"},
		{name: "DD-WRT with PPP connected", description: "ddwrt.xml", version: 1,
			links:   map[string]ftptest.IGDLink{"/uuid:0012-1707-c2e502000c00/WANIPConnection:1": down},
			control: "/uuid:0012-1707-c2e502000c00/WANPPPConnection:1", action: "AddPortMapping"},
		{name: "SpeedTouch has PPP only, Latin-1 and a bare ampersand", description: "speedtouch-ppp.xml", version: 1,
			control: "/upnp/control/wanpppcpppoa", action: "AddPortMapping"},
		{name: "D-Link has a URLBase", description: "dlink-urlbase.xml", version: 1, control: "/WANIPConn1", action: "AddPortMapping"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := ftptest.IGDOptions{Version: c.version, Links: c.links}
			if c.description != "" {
				o.Description = description(t, c.description)
			}
			gateway, u := recorded(t, o)
			finding, err := u.Lookup(t.Context())
			if err != nil || finding.Address != outside || finding.Source != extip.SourceUPnP || finding.Lifetime <= 0 {
				t.Fatalf("Lookup: %+v, %v", finding, err)
			}
			mapping, err := u.Map(t.Context(), ask())
			if err != nil {
				t.Fatal(err)
			}
			want := extip.Mapping{
				Protocol: extip.SourceUPnP, Gateway: loopback, Internal: internal,
				External: netip.AddrPortFrom(outside, internal.Port()), Granted: mapping.Granted, Lifetime: time.Hour,
			}
			if mapping != want || time.Since(mapping.Granted) > time.Minute {
				t.Errorf("granted %+v, want %+v", mapping, want)
			}
			table := gateway.Mappings()
			if len(table) != 1 || table[0].Control != c.control || table[0].Client != internal || table[0].Lease != 3600 || gateway.Count(c.action) != 1 {
				t.Errorf("the gateway's table: %+v", table)
			}
			if err := u.Unmap(t.Context(), mapping); err != nil || len(gateway.Mappings()) != 0 {
				t.Errorf("Unmap: %v, left %+v", err, gateway.Mappings())
			}
			if err := u.Unmap(t.Context(), mapping); err != nil {
				t.Errorf("Unmap of what is gone: %v", err)
			}
			if gateway.Count("description") != 1 || u.Location() != gateway.Location() {
				t.Errorf("%d descriptions read, location %q", gateway.Count("description"), u.Location())
			}
		})
	}
}

func TestUPnPMappingCarriesConnections(t *testing.T) {
	gateway := ftptest.NewIGD(t, ftptest.IGDOptions{})
	u := extip.NewUPnP(loopback, loopback, "", gateway.Search())
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	mapping, err := u.Map(t.Context(), extip.Request{Internal: listener.Addr().(*net.TCPAddr).AddrPort(), Lifetime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Map(t.Context(), extip.Request{Internal: mapping.Internal, External: mapping.External, Lifetime: time.Minute}); err != nil {
		t.Fatalf("renewal: %v", err)
	}
	server, err := net.Dial("tcp4", mapping.External.String())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if from := client.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); from != server.LocalAddr().(*net.TCPAddr).AddrPort().Addr() {
		t.Errorf("comes from %s", from)
	}
	if _, err := io.WriteString(server, "data"); err != nil {
		t.Fatal(err)
	}
	server.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(client); string(got) != "data" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := u.Unmap(t.Context(), mapping); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp4", mapping.External.String()); err == nil {
		conn.Close()
		t.Error("the port is still open after Unmap")
	}
}

func TestUPnPGrantsAndRefusals(t *testing.T) {
	other := ftptest.IGDMapping{External: internal.Port(), Client: netip.MustParseAddrPort("127.0.0.44:50123")}
	for _, c := range []struct {
		name     string
		options  ftptest.IGDOptions
		occupied bool
		external uint16        // asked for
		lifetime time.Duration // granted
		port     uint16        // granted
		is       error
		text     string // in the error
	}{
		{name: "a gateway that knows only mappings for good gets one", options: ftptest.IGDOptions{PermanentOnly: true}, port: 50123},
		{name: "a shorter lease is told", options: ftptest.IGDOptions{LongestLease: 120}, lifetime: 2 * time.Minute, port: 50123},
		{name: "another external port is asked for and granted", external: 51001, lifetime: time.Hour, port: 51001},
		{name: "same ports only: the internal one is taken instead", options: ftptest.IGDOptions{SamePorts: true}, external: 51001,
			lifetime: time.Hour, port: 50123},
		{name: "same ports only, and that is taken", options: ftptest.IGDOptions{SamePorts: true}, occupied: true, is: extip.ErrRefused,
			text: "724"},
		{name: "AddAnyPortMapping missing in version 2", options: ftptest.IGDOptions{Faults: map[string]int{"AddAnyPortMapping": 602}},
			lifetime: time.Hour, port: 50123},
		{name: "no external address", options: ftptest.IGDOptions{NoExternal: true}, is: extip.ErrRefused, text: "no external address"},
		{name: "0.0.0.0 is none either", options: ftptest.IGDOptions{External: netip.MustParseAddr("0.0.0.0")}, is: extip.ErrRefused,
			text: "no external address"},
		{name: "every port conflicts", options: ftptest.IGDOptions{Faults: map[string]int{"AddAnyPortMapping": 718, "AddPortMapping": 718}},
			is: extip.ErrRefused, text: "718"},
		{name: "no argument is right", options: ftptest.IGDOptions{Faults: map[string]int{"AddAnyPortMapping": 402}},
			is: extip.ErrRefused, text: "402"},
		{name: "action failed", options: ftptest.IGDOptions{Faults: map[string]int{"AddAnyPortMapping": 501}},
			is: extip.ErrRefused, text: "501 (as told): the gateway could not do it"},
		{name: "not authorised", options: ftptest.IGDOptions{Faults: map[string]int{"AddAnyPortMapping": 606}},
			is: extip.ErrRefused, text: "allow UPnP"},
		{name: "the table is full", options: ftptest.IGDOptions{Faults: map[string]int{"AddAnyPortMapping": 728}},
			is: extip.ErrRefused, text: "table of mappings is full"},
		{name: "a code nobody knows", options: ftptest.IGDOptions{Faults: map[string]int{"AddAnyPortMapping": 899}},
			is: extip.ErrRefused, text: "AddAnyPortMapping: error 899 (as told)"},
		{name: "no action at all", options: ftptest.IGDOptions{Faults: map[string]int{"GetExternalIPAddress": 401}},
			is: extip.ErrUnsupported, text: "does not know this action"},
		{name: "no service that maps ports", options: ftptest.IGDOptions{Description: "<root><service><serviceType>x</serviceType></service></root>"},
			is: extip.ErrUnsupported, text: "switch UPnP port mapping on"},
		{name: "no XML", options: ftptest.IGDOptions{Description: "hello"}, is: extip.ErrUnsupported, text: "no service"},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateway, u := recorded(t, c.options)
			if c.occupied {
				gateway.Occupy(other)
			}
			request := ask()
			request.External = netip.AddrPortFrom(netip.Addr{}, c.external)
			mapping, err := u.Map(t.Context(), request)
			if c.is == nil {
				if err != nil {
					t.Fatal(err)
				}
				if mapping.Lifetime != c.lifetime || mapping.External.Port() != c.port || mapping.Internal != internal {
					t.Errorf("granted %+v", mapping)
				}
				return
			}
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %v with %q", err, c.is, c.text)
			}
			if left := gateway.Mappings(); len(left) > 1 || len(left) == 1 && !c.occupied {
				t.Errorf("left behind: %+v", left)
			}
		})
	}
}

func TestUPnPMapsOnlyToItself(t *testing.T) {
	gateway, u := recorded(t, ftptest.IGDOptions{})
	for _, to := range []string{"127.0.0.2:50123", "127.0.0.1:0", "[::1]:50123"} {
		if _, err := u.Map(t.Context(), extip.Request{Internal: netip.MustParseAddrPort(to)}); err == nil {
			t.Errorf("mapped to %s", to)
		}
	}
	if err := u.Unmap(t.Context(), extip.Mapping{Protocol: extip.SourcePCP}); err == nil {
		t.Error("took back a mapping of another protocol")
	}
	if gateway.Count("search") != 0 {
		t.Error("the gateway was bothered")
	}
	six := extip.NewUPnP(netip.MustParseAddr("fe80::1"), netip.MustParseAddr("2001:db8::1"), "", netip.AddrPort{})
	if _, err := six.Lookup(t.Context()); !errors.Is(err, extip.ErrUnsupported) {
		t.Errorf("IPv6: %v", err)
	}
}

func TestUPnPFollowsNoLeadAwayFromTheGateway(t *testing.T) {
	var visits atomic.Int32
	elsewhere := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	listener, err := net.Listen("tcp4", "127.0.0.66:0")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Listener.Close()
	elsewhere.Listener = listener
	elsewhere.Start()
	defer elsewhere.Close()
	place := elsewhere.Listener.Addr().String()
	plain := func(base, control string) string {
		return "<root><URLBase>" + base + "</URLBase><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>" +
			"<controlURL>" + control + "</controlURL></service></root>"
	}
	for _, c := range []struct {
		name    string
		options ftptest.IGDOptions
		is      error // nil if it works all the same
		text    string
	}{
		{"the location leads to another host", ftptest.IGDOptions{Location: "http://" + place + "/description.xml"}, extip.ErrUnsupported, "is not followed"},
		{"the location only looks like the gateway", ftptest.IGDOptions{Location: "http://{HOST}@" + place + "/"}, extip.ErrUnsupported, "is not followed"},
		{"the location has a name", ftptest.IGDOptions{Location: "http://localhost/"}, extip.ErrUnsupported, "is not followed"},
		{"the location is a file", ftptest.IGDOptions{Location: "file:///etc/passwd"}, extip.ErrUnsupported, "is not followed"},
		{"the location is https", ftptest.IGDOptions{Location: "https://{HOST}/"}, extip.ErrUnsupported, "is not followed"},
		{"the location is nonsense", ftptest.IGDOptions{Location: "http://%zz"}, extip.ErrUnsupported, "is no URL"},
		{"the description redirects to another host", ftptest.IGDOptions{Redirect: elsewhere.URL}, extip.ErrUnsupported, "redirects"},
		{"the description redirects to itself", ftptest.IGDOptions{Redirect: "http://{HOST}/description.xml"}, extip.ErrUnsupported, "redirects"},
		{"the control URL leads to another host", ftptest.IGDOptions{Description: plain("", elsewhere.URL+"/ctl")}, extip.ErrUnsupported, "is not followed"},
		{"the control URL leads to another host without a scheme", ftptest.IGDOptions{Description: plain("", "//"+place+"/ctl")}, extip.ErrUnsupported,
			"is not followed"},
		{"the control URL is missing", ftptest.IGDOptions{Description: plain("", "")}, extip.ErrUnsupported, "no control URL"},
		{"the base leads to another host and is not used", ftptest.IGDOptions{Description: plain(elsewhere.URL, "/ctl")}, nil, ""},
		{"the description is endless", ftptest.IGDOptions{Endless: true}, extip.ErrUnsupported, "more than"},
		{"the answer comes from another host", ftptest.IGDOptions{Answerer: netip.MustParseAddr("127.0.0.66")}, extip.ErrNoGateway, ""},
		{"there is noise before the answer", ftptest.IGDOptions{Noise: []string{"", "HTTP/1.1 200 OK\r\n\r\n", "NOTIFY * HTTP/1.1\r\n\r\n",
			"HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:MediaServer:1\r\nLOCATION: " + elsewhere.URL + "\r\n\r\n",
			"HTTP/1.1 500 No\r\nST: urn:schemas-upnp-org:service:WANIPConnection:2\r\nLOCATION: " + elsewhere.URL + "\r\n\r\n",
			"HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:service:WANIPConnection:2\r\nLOCATION: " + elsewhere.URL + "\r\n\r\n"}}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // the failures take the time of a whole search
			gateway, u := recorded(t, c.options)
			mapping, err := u.Map(t.Context(), ask())
			if !errors.Is(err, c.is) || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %v with %q", err, c.is, c.text)
			}
			if c.is != nil && len(gateway.Mappings()) != 0 {
				t.Errorf("granted %+v", mapping)
			}
			if visits.Load() != 0 {
				t.Error("the other host was asked")
			}
		})
	}
}

func TestUPnPRemembersTheLocation(t *testing.T) {
	gateway, u := recorded(t, ftptest.IGDOptions{})
	again := extip.NewUPnP(loopback, loopback, gateway.Location(), gateway.Search())
	if _, err := again.Lookup(t.Context()); err != nil || gateway.Count("search") != 0 {
		t.Errorf("%v after %d searches for what was known", err, gateway.Count("search"))
	}
	for _, stale := range []string{"http://127.0.0.1:1/description.xml", "http://192.0.2.1/", "nonsense"} {
		moved := extip.NewUPnP(loopback, loopback, stale, gateway.Search())
		if _, err := moved.Lookup(t.Context()); err != nil || moved.Location() != gateway.Location() {
			t.Errorf("from %s: %v, location %s", stale, err, moved.Location())
		}
	}

	// A gateway that restarts listens on another port.
	if _, err := u.Lookup(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := ftptest.NewIGD(t, ftptest.IGDOptions{External: outside})
	gateway.Change(func(o *ftptest.IGDOptions) {
		o.Location = second.Location()
		o.Redirect = "http://{HOST}/elsewhere"
	})
	if _, err := u.Map(t.Context(), ask()); err != nil || len(second.Mappings()) != 1 || u.Location() != second.Location() {
		t.Errorf("after a restart: %v, location %s", err, u.Location())
	}
}

// TestUPnPChangesOver: the uplink that was in use goes down, another is up.
func TestUPnPChangesOver(t *testing.T) {
	first, second := "/upnp/control/yomkmsnooi/wanipconn-1", "/upnp/control/xstnsgeuyh/wanipconn-7"
	gateway, u := recorded(t, ftptest.IGDOptions{Version: 1, Description: description(t, "mikrotik-two-uplinks.xml")})
	if _, err := u.Lookup(t.Context()); err != nil {
		t.Fatal(err)
	}
	gateway.Change(func(o *ftptest.IGDOptions) {
		o.Links = map[string]ftptest.IGDLink{first: {Status: "Disconnected"}, second: {Status: "Connected", External: "203.0.113.8"}}
	})
	finding, err := u.Lookup(t.Context())
	if err != nil || finding.Address != netip.MustParseAddr("203.0.113.8") {
		t.Errorf("%+v, %v", finding, err)
	}
}

func TestUPnPRenewsAfterTheGatewayForgot(t *testing.T) {
	gateway, u := recorded(t, ftptest.IGDOptions{})
	mapping, err := u.Map(t.Context(), ask())
	if err != nil {
		t.Fatal(err)
	}
	request := extip.Request{Internal: internal, External: mapping.External, Lifetime: time.Hour}
	for _, forget := range []bool{false, true} {
		if forget {
			gateway.Forget()
		}
		renewed, err := u.Map(t.Context(), request)
		if err != nil || renewed.External != mapping.External || len(gateway.Mappings()) != 1 {
			t.Errorf("forgotten %t: %+v, %v", forget, renewed, err)
		}
	}
}

func TestUPnPIsAskedOneThingAtATime(t *testing.T) {
	gateway, u := recorded(t, ftptest.IGDOptions{})
	const callers = 8
	ports := make(chan uint16, callers)
	for i := range uint16(callers) {
		go func() {
			mapping, err := u.Map(t.Context(), extip.Request{Internal: netip.AddrPortFrom(loopback, 50000+i), Lifetime: time.Hour})
			if err != nil {
				t.Error(err)
			}
			ports <- mapping.External.Port()
		}()
	}
	got := map[uint16]bool{}
	for range callers {
		got[<-ports] = true
	}
	if len(got) != callers || len(gateway.Mappings()) != callers || gateway.Count("description") != 1 {
		t.Errorf("ports %v, %d descriptions read", got, gateway.Count("description"))
	}
}

func TestUPnPSearchIsHeardOnAMulticastGroup(t *testing.T) {
	gateway := ftptest.NewIGD(t, ftptest.IGDOptions{External: outside, Multicast: true})
	u := extip.NewUPnP(loopback, loopback, "", gateway.Search())
	finding, err := u.Lookup(t.Context())
	if want := (extip.Finding{Source: "UPnP", Address: outside, Detail: "gateway 127.0.0.1", Lifetime: finding.Lifetime}); err != nil || finding != want {
		t.Errorf("%s, %v", cmp.Diff(want.Address.String(), finding.Address.String()), err)
	}
}
