package extip

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestParseSearchAnswer(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://192.168.1.1:49652/49652gatedesc.xml\r\n"
	for _, c := range []struct {
		name, packet, location string // location is "" if it is to be dropped
	}{
		{"Google Wifi answers for version 2", "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:2\r\n" +
			"USN: uuid:a::urn:schemas-upnp-org:device:InternetGatewayDevice:2\r\nEXT:\r\nSERVER: Linux/5.4.0-1034-gcp UPnP/1.1 MiniUPnPd/1.9\r\n" +
			"LOCATION: http://192.168.86.1:5000/rootDesc.xml\r\nOPT: \"http://schemas.upnp.org/upnp/1/0/\"; ns=01\r\n01-NLS: 1\r\nBOOTID.UPNP.ORG: 1\r\n\r\n",
			"http://192.168.86.1:5000/rootDesc.xml"},
		{"Sagemcom has an empty SERVER", "HTTP/1.1 200 OK\r\nEXT:\r\nLOCATION: http://192.168.0.1:49153/69692b70/gatedesc0b.xml\r\nSERVER: \r\n" +
			"User-Agent: redsonic\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n", "http://192.168.0.1:49153/69692b70/gatedesc0b.xml"},
		{"a PPP connection", strings.Replace(good, "device:InternetGatewayDevice:1", "service:WANPPPConnection:1", 1) + "\r\n",
			"http://192.168.1.1:49652/49652gatedesc.xml"},
		{"the empty line is missing", good, "http://192.168.1.1:49652/49652gatedesc.xml"},
		{"a zero at the end", good + "\r\n\x00", "http://192.168.1.1:49652/49652gatedesc.xml"},
		{"bare line feeds", strings.ReplaceAll(good, "\r", ""), "http://192.168.1.1:49652/49652gatedesc.xml"},
		{"another kind of device", strings.Replace(good, "InternetGatewayDevice", "MediaServer", 1), ""},
		{"no location", strings.Replace(good, "LOCATION", "PLACE", 1), ""},
		{"no success", strings.Replace(good, "200", "404", 1), ""},
		{"an announcement", strings.Replace(good, "HTTP/1.1 200 OK", "NOTIFY * HTTP/1.1", 1), ""},
		{"nothing", "", ""},
	} {
		if location, ok := parseSearchAnswer([]byte(c.packet)); ok != (c.location != "") || ok && location != c.location {
			t.Errorf("%s: %q, %t", c.name, location, ok)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       map[string]string
		broken     bool
	}{
		{"miniupnpd", `<?xml version="1.0"?>` + "\r\n" + `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>` +
			`<u:GetExternalIPAddressResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:2"><NewExternalIPAddress>203.0.113.2</NewExternalIPAddress>` +
			`</u:GetExternalIPAddressResponse></s:Body></s:Envelope>`, map[string]string{"NewExternalIPAddress": "203.0.113.2"}, false},
		{"ARRIS refuses a lease, under another prefix", "<?xml version=\"1.0\"?>\r\n<SOAP:Envelope xmlns:SOAP=\"http://schemas.xmlsoap.org/soap/envelope/\">\r\n" +
			" <SOAP:Body>\r\n   <SOAP:Fault>\r\n    <faultcode>SOAP:Client</faultcode>\r\n    <faultstring>UPnPError</faultstring>\r\n    <detail>\r\n" +
			"     <UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\">\r\n      <errorCode> 402 </errorCode>\r\n      <errorDescription>Invalid Args</errorDescription>\r\n" +
			"     </UPnPError>\r\n    </detail>\r\n   </SOAP:Fault>\r\n </SOAP:Body>\r\n</SOAP:Envelope>\r\n",
			map[string]string{"faultcode": "SOAP:Client", "faultstring": "UPnPError", "errorCode": "402", "errorDescription": "Invalid Args"}, false},
		{"an empty address", `<a><NewExternalIPAddress/></a>`, map[string]string{"NewExternalIPAddress": ""}, false},
		{"an element twice: the first counts", `<a><b>1</b><b>2</b></a>`, map[string]string{"b": "1"}, false},
		{"text around elements is none of theirs", `<a>x<b>1</b>y</a>`, map[string]string{"b": "1"}, false},
		{"a mark in front and zeros behind", "\ufeff<a>1</a>\n\x00\x00", map[string]string{"a": "1"}, false},
		{"an ampersand", `<a>x & y &lt;z</a>`, map[string]string{"a": "x & y <z"}, false},
		{"windows-1252 is read as Latin-1", "<?xml version=\"1.0\" encoding=\"windows-1252\"?><a>\xe9</a>", map[string]string{"a": "é"}, false},
		{"HTML", "<html><body><p>401 Unauthorized<br></body></html>", map[string]string{"br": ""}, false},
		{"it ends in the middle", `<a><b>1</b><c>2`, map[string]string{"b": "1"}, true},
		{"bytes that are no characters", "<a><b>1</b><c>\xff</c></a>", map[string]string{"b": "1"}, true},
		{"nothing", "", map[string]string{}, false},
	} {
		got, err := parseAnswer([]byte(c.body))
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != c.broken {
			t.Errorf("%s: error %v\n%s", c.name, err, diff)
		}
	}
}

func TestEncodeAction(t *testing.T) {
	got := string(encodeAction(upnpIP1, "AddPortMapping", []upnpArgument{{"NewRemoteHost", ""}, {"NewPortMappingDescription", "a<b&c"}}))
	const want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>` +
		`<u:AddPortMapping xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1"><NewRemoteHost></NewRemoteHost>` +
		`<NewPortMappingDescription>a&lt;b&amp;c</NewPortMappingDescription></u:AddPortMapping></s:Body></s:Envelope>`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseDescription(t *testing.T) {
	gateway := netip.MustParseAddr("192.168.1.1")
	service := func(kind, control string) string {
		return "<service><serviceType>urn:schemas-upnp-org:service:" + kind + "</serviceType><controlURL>" + control + "</controlURL></service>"
	}
	for _, c := range []struct {
		name, body string
		want       []string // kind and control URL; nil if there is nothing to be used
	}{
		{"best first", "<root>" + service("WANPPPConnection:1", "/p") + service("WANIPConnection:1", "/1") + service("WANIPConnection:2", "/2") + "</root>",
			[]string{"WANIPConnection:2 http://192.168.1.1:5000/2", "WANIPConnection:1 http://192.168.1.1:5000/1", "WANPPPConnection:1 http://192.168.1.1:5000/p"}},
		{"an absolute control URL, even on another port of the gateway", service("WANIPConnection:1", " http://192.168.1.1:2869/c "),
			[]string{"WANIPConnection:1 http://192.168.1.1:2869/c"}},
		{"a control URL without a slash starts at the root", service("WANIPConnection:1", "c?a=1&amp;b=2"), []string{"WANIPConnection:1 http://192.168.1.1:5000/c?a=1&b=2"}},
		{"a control URL with a colon and without a slash is no scheme", service("WANIPConnection:1", "uuid:1/c"), []string{"WANIPConnection:1 http://192.168.1.1:5000/uuid:1/c"}},
		{"a base with another port", "<root><URLBase> http://192.168.1.1:80/x/ </URLBase>" + service("WANIPConnection:1", "/c") + "</root>",
			[]string{"WANIPConnection:1 http://192.168.1.1:80/c"}},
		{"a base on another host is not used", "<root><URLBase>http://10.0.0.1/</URLBase>" + service("WANIPConnection:1", "/c") + "</root>",
			[]string{"WANIPConnection:1 http://192.168.1.1:5000/c"}},
		{"one control URL elsewhere, one here", "<root>" + service("WANIPConnection:2", "http://192.0.2.1/c") + service("WANIPConnection:1", "/c") + "</root>",
			[]string{"WANIPConnection:1 http://192.168.1.1:5000/c"}},
		{"prefixes", "<d:root xmlns:d='x'><d:service><d:serviceType> urn:schemas-upnp-org:service:WANIPConnection:1 </d:serviceType><d:controlURL>/c</d:controlURL></d:service></d:root>",
			[]string{"WANIPConnection:1 http://192.168.1.1:5000/c"}},
		{"rubbish after the end", service("WANIPConnection:1", "/c") + "</root><<<", []string{"WANIPConnection:1 http://192.168.1.1:5000/c"}},
		{"many services are cut off", strings.Repeat(service("WANIPConnection:1", "/c"), 20), slices.Repeat([]string{"WANIPConnection:1 http://192.168.1.1:5000/c"}, upnpMostServices)},
		{"a script is no control URL", service("WANIPConnection:1", "javascript://x"), nil},
		{"a credential", service("WANIPConnection:1", "http://admin:admin@192.168.1.1/c"), nil},
		{"a lookalike", service("WANIPConnection:1", "http://192.168.1.1.example.com/c"), nil},
		{"a lookalike made of a port", service("WANIPConnection:1", ":80@example.com/c"), []string{"WANIPConnection:1 http://192.168.1.1:5000/:80@example.com/c"}},
		{"no mapping service", service("WANIPv6FirewallControl:1", "/c"), nil},
	} {
		location, err := url.Parse("http://192.168.1.1:5000/folder/root.xml")
		if err != nil {
			t.Fatal(err)
		}
		services, err := parseDescription([]byte(c.body), location, gateway)
		var got []string
		for _, s := range services {
			got = append(got, strings.TrimPrefix(s.kind, "urn:schemas-upnp-org:service:")+" "+s.control.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.want != nil) {
			t.Errorf("%s: error %v\n%s", c.name, err, diff)
		}
	}
}

func TestLeaseSeconds(t *testing.T) {
	for lifetime, want := range map[time.Duration]uint32{
		time.Hour: 3600, 0: 0, time.Millisecond: 1, -time.Second: 0, 1500 * time.Millisecond: 2, 30 * 24 * time.Hour: upnpLongest,
		1<<63 - 1: upnpLongest,
	} {
		if got := leaseSeconds(lifetime); got != want {
			t.Errorf("%s: %d, want %d", lifetime, got, want)
		}
	}
}

// TestUPnPClientReachesOnlyTheGateway holds the second lock: URLs are looked at before they are used, too.
func TestUPnPClientReachesOnlyTheGateway(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.66:1")
	asked, closes := "", false
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked, closes = r.RemoteAddr, r.Close }))
	defer server.Close()
	client := upnpClient(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.5"))
	for host, ok := range map[string]bool{"127.0.0.1": true, "127.0.0.2": false, "localhost": false} {
		response, err := client.Get(strings.Replace(server.URL, "127.0.0.1", host, 1))
		if err == nil {
			response.Body.Close()
		}
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "is not the gateway 127.0.0.1") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if !strings.HasPrefix(asked, "127.0.0.5:") || !closes {
		t.Errorf("asked from %s, connection closed: %t", asked, closes)
	}
}

func TestUPnPSearchesAtTheGatewayAndInTheGroup(t *testing.T) {
	gateway, local := netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("192.168.1.2")
	want := []netip.AddrPort{netip.MustParseAddrPort("192.168.1.1:1900"), netip.MustParseAddrPort("239.255.255.250:1900")}
	if got := NewUPnP(gateway, local, "", netip.AddrPort{}).places(); !slices.Equal(got, want) {
		t.Errorf("searches at %v", got)
	}
}

func FuzzParseSearchAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://192.168.1.1:49652/d.xml\r\n\r\n"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		location, ok := parseSearchAnswer(packet)
		if ok && (location == "" || strings.ContainsAny(location, "\r\n")) {
			t.Errorf("location %q", location)
		}
	})
}

func FuzzParseDescription(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "igd", "*.xml"))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	gateway := netip.MustParseAddr("192.168.1.1")
	location, err := url.Parse("http://192.168.1.1:5000/root.xml")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		services, err := parseDescription(body, location, gateway)
		if (err == nil) != (len(services) > 0) || len(services) > upnpMostServices {
			t.Errorf("%d services, %v", len(services), err)
		}
		for _, s := range services {
			// What is asked over HTTP is the text of the URL, read once more.
			again, err := onGateway(s.control.String(), gateway)
			if err != nil || again.Hostname() != gateway.String() {
				t.Errorf("control URL %q: %v", s.control, err)
			}
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>725</errorCode><errorDescription>x</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`))
	f.Add(encodeAction(upnpIP2, "AddAnyPortMapping", portArguments(50000)))
	f.Fuzz(func(t *testing.T, body []byte) {
		values, _ := parseAnswer(body)
		for name, value := range values {
			text := printable(value)
			if len(text) > 120 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q: %q is not printable", name, text)
			}
		}
	})
}
