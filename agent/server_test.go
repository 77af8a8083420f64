package agent

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient"
)

// TestEveryOptionReachesTheClient has a row for every field of a server's configuration: what it is set to, and what
// the client then gets.
func TestEveryOptionReachesTheClient(t *testing.T) {
	type (
		server  = config.Server
		options = ftpclient.Options
	)
	pool, certificate, zone := x509.NewCertPool(), &tls.Certificate{Certificate: [][]byte{{1}}}, time.FixedZone("", 3600)
	pin, peer := ftpclient.PinnedKey{1}, netip.MustParsePrefix("192.0.2.0/24")
	rows := map[string]struct {
		set  func(*server)
		got  func(options) any
		want any
	}{
		"User":          {func(s *server) { s.User = "u" }, func(o options) any { return o.User }, "u"},
		"Password":      {func(s *server) { s.Password = config.NewSecret("p") }, func(o options) any { return o.Password }, "p"},
		"Account":       {func(s *server) { s.Account = config.NewSecret("a") }, func(o options) any { return o.Account }, "a"},
		"VirtualHost":   {func(s *server) { s.VirtualHost = "v" }, func(o options) any { return o.VirtualHost }, "v"},
		"Proxy":         {func(s *server) { s.Proxy = config.NewSecret("socks5://u:p@h:1") }, func(o options) any { return o.Proxy }, &url.URL{Scheme: "socks5", User: url.UserPassword("u", "p"), Host: "h:1"}},
		"TLS":           {func(s *server) { s.TLS = config.TLSImplicit }, func(o options) any { return o.TLS }, ftpclient.TLSImplicit},
		"RootCAs":       {func(s *server) { s.RootCAs = pool }, func(o options) any { return o.TLSConfig.RootCAs }, pool},
		"TLSServerName": {func(s *server) { s.TLSServerName = "n" }, func(o options) any { return o.TLSConfig.ServerName }, "n"},
		"TLSVerify":     {func(s *server) { s.TLSVerify = true }, func(o options) any { return o.TLSConfig.InsecureSkipVerify }, false},
		"TLSPins":       {func(s *server) { s.TLSPins = append(s.TLSPins, pin) }, func(o options) any { return o.PinnedKeys }, []ftpclient.PinnedKey{pin}},
		"ClientCertificate": {func(s *server) { s.ClientCertificate = config.NewKeyPair(certificate) },
			func(o options) any { return o.TLSConfig.Certificates }, []tls.Certificate{*certificate}},
		"TLSMax":           {func(s *server) { s.TLSMax = tls.VersionTLS12 }, func(o options) any { return o.TLSConfig.MaxVersion }, uint16(tls.VersionTLS12)},
		"TLSMin":           {func(s *server) { s.TLSMin = tls.VersionTLS13 }, func(o options) any { return o.TLSConfig.MinVersion }, uint16(tls.VersionTLS13)},
		"TLSLegacy":        {func(s *server) { s.TLSLegacy = true }, func(o options) any { return o.LegacyTLS }, true},
		"Encoding":         {func(s *server) { s.Encoding = "koi8-r" }, func(o options) any { return o.Encoding }, "koi8-r"},
		"Data.Mode":        {func(s *server) { s.Data.Mode = config.DataActive }, func(o options) any { return o.Data.Policy }, ftpclient.DataActiveOnly},
		"Data.ActivePorts": {func(s *server) { s.Data.ActivePorts = config.PortRange{First: 1, Last: 2} }, func(o options) any { return o.Data.ActivePorts }, ftpclient.PortRange{First: 1, Last: 2}},
		"Data.AnnouncedPorts": {func(s *server) { s.Data.AnnouncedPorts = config.PortRange{First: 3, Last: 4} },
			func(o options) any { return o.Data.AnnouncedPorts }, ftpclient.PortRange{First: 3, Last: 4}},
		"Data.Peers":     {func(s *server) { s.Data.Peers = []netip.Prefix{peer} }, func(o options) any { return o.Data.Peers }, []netip.Prefix{peer}},
		"Data.HolePunch": {func(s *server) { s.Data.HolePunch = true }, func(o options) any { return o.Data.HolePunch }, true},
		"Data.ExternalIP": {func(s *server) { s.Data.ExternalIP = netip.MustParseAddr("198.51.100.7") },
			func(o options) any { return o.Data.ExternalAddress }, netip.MustParseAddr("198.51.100.7")},
		"Data.PASVAddress": {func(s *server) { s.Data.PASVAddress = config.PASVReply }, func(o options) any { return o.Data.TrustPASVAddress }, true},
		"Compress":         {func(s *server) { s.Compress = true }, func(o options) any { return o.Compress }, true},
		"CommandLimit":     {func(s *server) { s.CommandLimit = 512 }, func(o options) any { return o.CommandLimit }, 512},
		"ListTimeZone":     {func(s *server) { s.ListTimeZone = zone }, func(o options) any { return o.ListLocation }, zone},
		"ConnectTimeout":   {func(s *server) { s.ConnectTimeout = 1 }, func(o options) any { return o.ConnectTimeout }, time.Duration(1)},
		"ReplyTimeout":     {func(s *server) { s.ReplyTimeout = 2 }, func(o options) any { return o.ReplyTimeout }, time.Duration(2)},
		"StallTimeout":     {func(s *server) { s.StallTimeout = 3 }, func(o options) any { return o.StallTimeout }, time.Duration(3)},
	}
	elsewhere := map[string]string{
		"Name": "for people", "Address": "an argument of Dial", "TLSCA": "RootCAs are what is in it", "Connections": "the number of workers", "Segments": "the workers",
		"Addresses": "arguments of the pool", "Bandwidth": "a limiter of the pool",
	}
	check := func(name string) {
		if elsewhere[name] != "" {
			return
		}
		row, ok := rows[name]
		if !ok {
			t.Errorf("%s does not reach the client, or has no row here", name)
			return
		}
		read := func(s server) any { return row.got(clientOptions(&s, ftpclient.Facts{}, nil)) }
		var s server
		if before := read(s); reflect.DeepEqual(before, row.want) {
			t.Errorf("%s: %v whatever the configuration says", name, before)
		}
		row.set(&s)
		if got := read(s); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: the client gets %v, want %v", name, got, row.want)
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[server]()) {
		if field.Name != "Data" {
			check(field.Name)
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Data]()) {
		check("Data." + field.Name)
	}
}

func TestWhatElseTheClientGets(t *testing.T) {
	facts, logger := ftpclient.Facts{Server: "x"}, slog.New(slog.DiscardHandler)
	o := clientOptions(&config.Server{User: "anonymous"}, facts, logger)
	if o.Facts != facts || o.Logger != logger {
		t.Errorf("facts %+v, logger %v", o.Facts, o.Logger)
	}
	if o.User != "" {
		t.Errorf("user %q, and the client does not choose what anonymous servers want to hear", o.User)
	}
	if o := clientOptions(&config.Server{User: "anonymous", Password: config.NewSecret("me@here")}, facts, logger); o.User != "anonymous" || o.Password != "me@here" {
		t.Errorf("anonymous with a password is %q, %q", o.User, o.Password)
	}
	for mode, want := range map[config.TLSMode]ftpclient.TLSMode{
		config.TLSExplicit: ftpclient.TLSExplicit, config.TLSImplicit: ftpclient.TLSImplicit, config.TLSNone: ftpclient.TLSNone,
	} {
		if got := clientOptions(&config.Server{TLS: mode}, facts, logger).TLS; got != want {
			t.Errorf("tls %q is %v", mode, got)
		}
	}
	for mode, want := range map[config.DataMode]ftpclient.DataPolicy{
		config.DataAuto: ftpclient.DataAuto, config.DataPassive: ftpclient.DataPassiveOnly, config.DataActive: ftpclient.DataActiveOnly,
	} {
		if got := clientOptions(&config.Server{Data: config.Data{Mode: mode}}, facts, logger).Data.Policy; got != want {
			t.Errorf("mode %q is %v", mode, got)
		}
	}
}

// TestIdentity: what was in step with one tree says nothing about another one.
func TestIdentity(t *testing.T) {
	of := func(change func(*config.Server, *config.Sync)) string {
		server := &config.Server{User: "u", Address: "h:21", Password: config.NewSecret("p")}
		sync := &config.Sync{Server: "acme", Local: "/l", Remote: "/r", Direction: config.Up}
		change(server, sync)
		return identity(&config.Config{Servers: map[string]*config.Server{"acme": server}}, sync)
	}
	plain := of(func(*config.Server, *config.Sync) {})
	seen := map[string]string{plain: "nothing"}
	for what, change := range map[string]func(*config.Server, *config.Sync){
		"the user":         func(s *config.Server, _ *config.Sync) { s.User = "v" },
		"the address":      func(s *config.Server, _ *config.Sync) { s.Address = "i:21" },
		"the virtual host": func(s *config.Server, _ *config.Sync) { s.VirtualHost = "v" },
		"another one":      func(s *config.Server, _ *config.Sync) { s.VirtualHost = "w" },
		"remote":           func(_ *config.Server, s *config.Sync) { s.Remote = "/s" },
		"local":            func(_ *config.Server, s *config.Sync) { s.Local = "/m" },
		"the names there":  func(_ *config.Server, s *config.Sync) { s.RemoteName = template(t, "{name}.x") },
		"the direction":    func(_ *config.Server, s *config.Sync) { s.Direction = config.Down },
	} {
		id := of(change)
		if other, twice := seen[id]; twice {
			t.Errorf("%s changes as much as %s: %s", what, other, id)
		}
		seen[id] = what
	}
	if id := of(func(s *config.Server, _ *config.Sync) {
		s.Password, s.TLS, s.Connections = config.NewSecret("q"), config.TLSNone, 7
	}); id != plain {
		t.Errorf("how the server is talked to makes another identity of the same tree: %s", id)
	}
}
