package ftptest

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// IGDHost is what stands for the host and port of a fake gateway in [IGDOptions.Description], Location and Redirect.
const IGDHost = "{HOST}"

// IGDOptions say how a fake UPnP gateway behaves. They can be changed while it runs, by [IGD.Change], except Gateway,
// Answerer and Multicast.
type IGDOptions struct {
	// Gateway is its address; 127.0.0.1 if invalid.
	Gateway netip.Addr
	// External is the address that it says it has outside; 127.9.9.9 if invalid. If it is a loopback address, mappings
	// are real: connections to it are forwarded, and come from the address that they came from.
	External netip.Addr
	// NoExternal makes the external address "", as gateways without an uplink do.
	NoExternal bool
	// Version is that of IGD, 1 or 2; 0 is 2.
	Version int
	// Description is the device description; "" is a plain one of Version.
	Description string
	// Links says for control URLs (paths) that their uplink differs; the others are connected.
	Links map[string]IGDLink

	// Silent answers no search, and no HTTP request until the end of the test.
	Silent bool
	// Hanging answers searches, but no HTTP request until the end of the test.
	Hanging bool
	// Answerer is the address that searches are answered from; that of the gateway if invalid.
	Answerer netip.Addr
	// Multicast has searches heard on a multicast group, on an address of its own.
	Multicast bool
	// Noise is sent before each answer to a search.
	Noise []string
	// Location is what answers to searches say; "" is the truth.
	Location string
	// Redirect, unless "", is where all HTTP requests are redirected to.
	Redirect string
	// Endless makes the answers to all HTTP requests endless.
	Endless bool

	// Faults are codes that actions are refused with.
	Faults map[string]int
	// PermanentOnly refuses leases (725), SamePorts refuses mappings that change the port (724).
	PermanentOnly, SamePorts bool
	// LongestLease shortens leases, in seconds.
	LongestLease uint32
}

// IGDLink is the state of an uplink.
type IGDLink struct {
	Status   string // "Connected", "Disconnected"
	External string // the external address, may be ""
}

// IGDMapping is a line of the gateway's table.
type IGDMapping struct {
	External    uint16
	Client      netip.AddrPort
	Description string
	Lease       uint32 // in seconds; 0 is for good
	Control     string // path of the control URL by which it was made

	expires   time.Time
	forwarder *igdForwarder // nil if it is not real
}

// IGD is a fake UPnP Internet gateway on loopback. It ends with the test.
type IGD struct {
	t      testing.TB
	http   *http.Server
	host   string // of the HTTP server
	group  bool
	search net.PacketConn
	answer net.PacketConn
	done   chan struct{} // closed at the end
	wg     sync.WaitGroup

	mu       sync.Mutex
	options  IGDOptions
	mappings map[uint16]IGDMapping
	counts   map[string]int
}

// NewIGD starts a fake gateway.
func NewIGD(t testing.TB, o IGDOptions) *IGD {
	t.Helper()
	if !o.Gateway.IsValid() {
		o.Gateway = netip.MustParseAddr("127.0.0.1")
	}
	if !o.Answerer.IsValid() {
		o.Answerer = o.Gateway
	}
	if !o.External.IsValid() {
		o.External = netip.MustParseAddr("127.9.9.9")
	}
	g := &IGD{t: t, group: o.Multicast, options: o, mappings: map[uint16]IGDMapping{}, counts: map[string]int{}, done: make(chan struct{})}
	listener, err := net.Listen("tcp4", netip.AddrPortFrom(o.Gateway, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	g.host = listener.Addr().String()
	g.answer, err = net.ListenPacket("udp4", netip.AddrPortFrom(o.Answerer, 0).String())
	if err != nil {
		listener.Close()
		t.Fatal(err)
	}
	g.search = g.answer
	if o.Multicast || o.Answerer != o.Gateway {
		g.search, err = igdSearchSocket(o)
		if err != nil {
			listener.Close()
			g.answer.Close()
			t.Fatal(err)
		}
	}
	g.http = &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	g.wg.Go(func() { _ = g.http.Serve(listener) })
	g.wg.Go(g.answerSearches)
	t.Cleanup(g.close)
	return g
}

func igdSearchSocket(o IGDOptions) (net.PacketConn, error) {
	if !o.Multicast {
		return net.ListenPacket("udp4", netip.AddrPortFrom(o.Gateway, 0).String())
	}
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	loopback := slices.IndexFunc(links, func(l net.Interface) bool { return l.Flags&net.FlagLoopback != 0 })
	if loopback < 0 {
		return nil, fmt.Errorf("there is no loopback interface")
	}
	return net.ListenMulticastUDP("udp4", &links[loopback], &net.UDPAddr{IP: net.IPv4(239, 255, 255, 250)})
}

func (g *IGD) close() {
	close(g.done)
	g.http.Close()
	g.search.Close()
	g.answer.Close()
	g.mu.Lock()
	for port := range g.mappings {
		g.remove(port)
	}
	g.mu.Unlock()
	g.wg.Wait()
}

// Search is where it hears searches.
func (g *IGD) Search() netip.AddrPort {
	address := g.search.LocalAddr().(*net.UDPAddr).AddrPort()
	if g.group {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, 255, 250}), address.Port())
	}
	return address
}

// Location is the URL of its description.
func (g *IGD) Location() string { return "http://" + g.host + "/description.xml" }

// Host is the address and port of its HTTP server.
func (g *IGD) Host() string { return g.host }

// Change changes its behaviour.
func (g *IGD) Change(change func(*IGDOptions)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.options)
}

// Count says how often something was asked for: "search", "description", or the name of an action.
func (g *IGD) Count(what string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts[what]
}

// Mappings returns its table by external port, without what has expired.
func (g *IGD) Mappings() []IGDMapping {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expire()
	return slices.SortedFunc(maps.Values(g.mappings), func(a, b IGDMapping) int { return int(a.External) - int(b.External) })
}

// Occupy enters a mapping as if another program or machine had made it. It is not real.
func (g *IGD) Occupy(m IGDMapping) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(m.External)
	g.mappings[m.External] = m
}

// Forget drops all mappings, as a gateway does that restarts.
func (g *IGD) Forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for port := range g.mappings {
		g.remove(port)
	}
}

func (g *IGD) answerSearches() {
	packet := make([]byte, 4096)
	for {
		n, from, err := g.search.ReadFrom(packet)
		if err != nil {
			return
		}
		text := string(packet[:n])
		target := igdHeader(text, "ST")
		g.mu.Lock()
		o := g.options
		g.counts["search"]++
		g.mu.Unlock()
		// As strict as miniupnpd: a gateway of version 2 does not answer for a connection of version 1.
		known := []string{"urn:schemas-upnp-org:device:InternetGatewayDevice:1", "urn:schemas-upnp-org:service:WANIPConnection:2"}
		if o.Version == 1 {
			known[1] = "urn:schemas-upnp-org:service:WANIPConnection:1"
		}
		if o.Silent || !strings.HasPrefix(text, "M-SEARCH * HTTP/1.1\r\n") || !slices.Contains(known, target) {
			continue
		}
		location := o.Location
		if location == "" {
			location = g.Location()
		}
		answer := "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: " + target + "\r\nUSN: uuid:00000000::" + target +
			"\r\nEXT:\r\nSERVER: ftptest UPnP/1.1\r\nLOCATION: " + strings.ReplaceAll(location, IGDHost, g.host) + "\r\n\r\n"
		for _, datagram := range append(slices.Clone(o.Noise), answer) {
			if _, err := g.answer.WriteTo([]byte(datagram), from); err != nil {
				return
			}
		}
	}
}

func igdHeader(packet, name string) string {
	for line := range strings.Lines(packet) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// ServeHTTP serves the description and the control URL, which is everything that is posted to.
func (g *IGD) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return
	}
	action := "description"
	if r.Method == http.MethodPost {
		_, action, _ = strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), "#")
	}
	g.mu.Lock()
	o := g.options
	g.counts[action]++
	g.mu.Unlock()
	switch {
	case o.Silent || o.Hanging:
		select {
		case <-g.done:
		case <-r.Context().Done():
		}
	case o.Redirect != "":
		http.Redirect(w, r, strings.ReplaceAll(o.Redirect, IGDHost, g.host), http.StatusTemporaryRedirect)
	case o.Endless:
		for chunk := []byte("<root>" + strings.Repeat("<service>", 1000)); err == nil; {
			_, err = w.Write(chunk)
		}
	case r.Method == http.MethodPost:
		g.control(w, r.URL.Path, action, igdArguments(body))
	case r.URL.Path != "/description.xml":
		http.NotFound(w, r)
	default:
		text := o.Description
		if text == "" {
			text = igdDescription(o.Version)
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, strings.ReplaceAll(text, IGDHost, g.host))
	}
}

// igdArguments returns the elements of a request that have no children.
func igdArguments(body []byte) map[string]string {
	arguments := map[string]string{}
	decoder := xml.NewDecoder(strings.NewReader(string(body)))
	text := ""
	for {
		token, err := decoder.Token()
		switch token := token.(type) {
		case xml.StartElement:
			text = ""
		case xml.CharData:
			text += string(token)
		case xml.EndElement:
			arguments[token.Name.Local] = text
		}
		if err != nil {
			return arguments
		}
	}
}

// control carries out an action and writes its answer.
func (g *IGD) control(w http.ResponseWriter, path, action string, arguments map[string]string) {
	values, code := g.act(path, action, arguments)
	const envelope = `<?xml version="1.0"?>` + "\r\n" + `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ` +
		`s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>%s</s:Body></s:Envelope>`
	w.Header().Set("Content-Type", "text/xml")
	if code != 0 {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, envelope, fmt.Sprintf(`<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>`+
			`<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode><errorDescription>as told</errorDescription>`+
			`</UPnPError></detail></s:Fault>`, code))
		return
	}
	var inner strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&inner, "<%s>", name)
		_ = xml.EscapeText(&inner, []byte(values[name]))
		fmt.Fprintf(&inner, "</%s>", name)
	}
	fmt.Fprintf(w, envelope, fmt.Sprintf(`<u:%[1]sResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">%[2]s</u:%[1]sResponse>`,
		action, inner.String()))
}

// act carries out an action. A code other than 0 is a refusal.
func (g *IGD) act(path, action string, arguments map[string]string) (map[string]string, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.done:
		return nil, 501
	default:
	}
	if code := g.options.Faults[action]; code != 0 {
		return nil, code
	}
	g.expire()
	link, ok := g.options.Links[path]
	if !ok {
		link = IGDLink{Status: "Connected", External: g.options.External.String()}
	}
	if g.options.NoExternal {
		link.External = ""
	}
	port, err := strconv.ParseUint(arguments["NewExternalPort"], 10, 16)
	if strings.Contains(action, "PortMapping") && (err != nil || arguments["NewProtocol"] != "TCP" || arguments["NewRemoteHost"] != "") {
		return nil, 402
	}
	known, taken := g.mappings[uint16(port)]
	switch action {
	case "GetStatusInfo":
		return map[string]string{"NewConnectionStatus": link.Status, "NewLastConnectionError": "ERROR_NONE", "NewUptime": "7"}, 0
	case "GetExternalIPAddress":
		return map[string]string{"NewExternalIPAddress": link.External}, 0
	case "GetSpecificPortMappingEntry":
		if !taken {
			return nil, 714
		}
		return map[string]string{
			"NewInternalClient": known.Client.Addr().String(), "NewInternalPort": strconv.Itoa(int(known.Client.Port())),
			"NewEnabled": "1", "NewPortMappingDescription": known.Description, "NewLeaseDuration": strconv.Itoa(int(known.Lease)),
		}, 0
	case "DeletePortMapping":
		if !taken {
			return nil, 714
		}
		g.remove(uint16(port))
		return nil, 0
	case "AddAnyPortMapping":
		if g.options.Version == 1 {
			return nil, 401
		}
		for ; taken; _, taken = g.mappings[uint16(port)] {
			port++
		}
		return map[string]string{"NewReservedPort": strconv.Itoa(int(port))}, g.add(path, uint16(port), arguments)
	case "AddPortMapping":
		// A port of another machine is refused, one of the same machine overwritten, as the standard has it.
		if taken && known.Client.Addr().String() != arguments["NewInternalClient"] {
			return nil, 718
		}
		return nil, g.add(path, uint16(port), arguments)
	}
	return nil, 401
}

// add enters a mapping and returns 0, or the code of the refusal.
func (g *IGD) add(path string, port uint16, arguments map[string]string) int {
	client, err := netip.ParseAddrPort(arguments["NewInternalClient"] + ":" + arguments["NewInternalPort"])
	lease, err2 := strconv.ParseUint(arguments["NewLeaseDuration"], 10, 32)
	switch {
	case err != nil || err2 != nil || arguments["NewEnabled"] != "1":
		return 402
	case g.options.PermanentOnly && lease != 0:
		return 725
	case g.options.SamePorts && port != client.Port():
		return 724
	}
	m := IGDMapping{External: port, Client: client, Description: arguments["NewPortMappingDescription"], Lease: uint32(lease), Control: path}
	if longest := g.options.LongestLease; longest != 0 && (m.Lease == 0 || m.Lease > longest) {
		m.Lease = longest
	}
	if m.Lease != 0 {
		m.expires = time.Now().Add(time.Duration(m.Lease) * time.Second)
	}
	g.remove(port)
	if g.options.External.IsLoopback() {
		if m.forwarder, err = g.forward(netip.AddrPortFrom(g.options.External, port), client); err != nil {
			return 501
		}
	}
	g.mappings[port] = m
	return 0
}

func (g *IGD) expire() {
	for port, m := range g.mappings {
		if !m.expires.IsZero() && time.Now().After(m.expires) {
			g.remove(port)
		}
	}
}

func (g *IGD) remove(port uint16) {
	if f := g.mappings[port].forwarder; f != nil {
		f.close()
	}
	delete(g.mappings, port)
}
