package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

const (
	mostAddresses  = 8               // of one name that are tried
	addressTimeout = 5 * time.Second // for each of them
)

// resolve looks the name of the server up. Through a proxy that is the proxy's matter.
func (e *examination) resolve(ctx context.Context) {
	host, _, _ := net.SplitHostPort(e.Server.Address) // the configuration has checked it
	e.report.Reach = Reach{Host: host, User: clean(e.Server.User), Addresses: []Address{}, Listed: []string{}}
	if proxy := e.Server.ProxyURL(); proxy != nil {
		e.report.Reach.Proxy = proxy.Host
		return
	}
	began := time.Now()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	e.report.Reach.Resolved = Span(time.Since(began))
	if err != nil {
		return // dialling fails for the same reason, and tells it
	}
	for _, address := range found {
		e.report.Reach.Addresses = append(e.report.Reach.Addresses, Address{Address: address.Unmap().String()})
	}
	slices.SortFunc(e.report.Reach.Addresses, func(a, b Address) int { return strings.Compare(a.Address, b.Address) })
	e.report.Reach.Addresses = slices.Compact(e.report.Reach.Addresses)
}

// login makes the connection of the examination.
func (e *examination) login(ctx context.Context) error {
	began := time.Now()
	conn, err := ftpclient.Dial(ctx, e.Server.Address, e.recorder.attach(e.Client))
	reach := &e.report.Reach
	reach.LoginTook = Span(time.Since(began))
	var took time.Duration
	reach.Local, reach.Remote, reach.Greeting, took = e.recorder.told()
	reach.Connected = Span(took)
	e.tryAddresses(ctx)
	if err != nil {
		var failed *ftpclient.Error
		if errors.As(err, &failed) && failed.Facts != nil {
			reach.Kind = failed.Facts.Server
		}
		return err
	}
	e.conn = conn
	reach.LoggedIn = true
	reach.Kind, reach.Home = conn.Facts().Server, clean(conn.Home())
	for name, lines := range conn.Features() {
		reach.Listed = append(reach.Listed, clean(strings.TrimSpace(name+" "+strings.Join(lines, " "))))
	}
	slices.Sort(reach.Listed)
	reach.RoundTrip = e.roundTrip(ctx)
	return nil
}

// roundTrip is the shortest of a few, 0 if the server does not know NOOP.
func (e *examination) roundTrip(ctx context.Context) Span {
	shortest := time.Duration(0)
	for range 3 {
		began := time.Now()
		if e.conn.Noop(ctx) != nil {
			return 0
		}
		if took := time.Since(began); shortest == 0 || took < shortest {
			shortest = took
		}
	}
	return Span(shortest)
}

// tryAddresses tells of each address whether somebody answers there, where there are several
// or nobody answered: a name with one dead address costs each connection its time.
func (e *examination) tryAddresses(ctx context.Context) {
	reach := &e.report.Reach
	_, port, _ := net.SplitHostPort(e.Server.Address)
	connected, _ := netip.ParseAddrPort(reach.Remote)
	for i := range reach.Addresses[:min(len(reach.Addresses), mostAddresses)] {
		address := &reach.Addresses[i]
		address.Tried = true
		if address.Address == connected.Addr().Unmap().String() {
			address.Connected, address.Took = true, reach.Connected
			continue
		}
		trying, cancel := context.WithTimeout(ctx, addressTimeout)
		began := time.Now()
		conn, err := e.recorder.dial(trying, "tcp", net.JoinHostPort(address.Address, port))
		address.Took = Span(time.Since(began))
		cancel()
		if err != nil {
			address.Error = clean(shortNetwork(err))
			continue
		}
		conn.Close()
		address.Connected = true
	}
}

// shortNetwork is an error of dialling without the address, which stands beside it.
func shortNetwork(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "no answer"
	}
	var unknown *net.DNSError
	if errors.As(err, &unknown) {
		return unknown.Err
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}

// cannotLogIn turns an error of the login into a problem with its cure.
func (e *examination) cannotLogIn(err error) {
	kind, cure := cureOf(err, e.Server.Address, e.report.Reach.Remote != "")
	what := err.Error()
	var certificate *ftpclient.CertificateError
	var dialling *net.OpError
	switch {
	case errors.As(err, &certificate):
		what = "the server's certificate is not accepted: " + certificate.Err.Error()
	case errors.As(err, &dialling) && dialling.Op == "dial" && e.report.Reach.Proxy == "":
		what = e.Server.Address + " cannot be reached: " + shortNetwork(err)
	case errors.As(err, &dialling) && dialling.Op == "dial":
		cure = "the proxy cannot be reached: check proxy in the configuration, and whether it is running"
	case e.implicit:
		kind, cure = NeedsPerson, `the server speaks TLS from the first byte: write tls = "implicit"`
	}
	e.problem(kind, what, cure)
}

// cureOf is what a person can do about an error of a login. connected: somebody took the connection.
func cureOf(err error, address string, connected bool) (Outcome, string) {
	host, port, _ := net.SplitHostPort(address)
	var failed *ftpclient.Error
	errors.As(err, &failed)
	var unknown *net.DNSError
	var timeout net.Error
	switch class := ftpclient.Classify(err); {
	case errors.Is(err, ftpclient.ErrCertificate):
		return NeedsPerson, "" // its text names it
	case class == ftpclient.ClassAuthentication:
		return NeedsPerson, "check user and password in the configuration; it was tried once, because repeated failures lock accounts"
	case class == ftpclient.ClassBusy:
		return Unavailable, "the server takes no more connections: try again when the running agent or other clients of this login are idle"
	case failed != nil && failed.Command == "AUTH" && errors.Is(err, ftpclient.ErrInsecure):
		return NeedsPerson, `have TLS switched on at the server, or try tls = "implicit" (port 990); with tls = "none" the password crosses the network in clear`
	case class == ftpclient.ClassSetup:
		return NeedsPerson, "" // its text names it
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return Unavailable, "the name " + host + " does not exist: check address in the configuration, and the name servers of this machine"
	case errors.As(err, &unknown):
		return Unavailable, "the name " + host + " cannot be looked up now: check the name servers of this machine"
	case errors.Is(err, syscall.ECONNREFUSED):
		return Unavailable, "nobody listens on port " + port + ": is the server running, and is this its port?"
	case failed != nil && failed.Op == "connect" && failed.Code != 0:
		return Unavailable, "the server answers and sends this client away: ask its operator, or try again later"
	case errors.Is(err, ftpclient.ErrProtocol):
		return NeedsPerson, "something else than an FTP server listens on port " + port + ": check address in the configuration"
	case errors.Is(err, ftpclient.ErrTimeout) && connected:
		return Unavailable, "the server takes the connection and then does not answer: it is overloaded or hangs, or a firewall beside it looks into FTP; ask its operator"
	case errors.Is(err, ftpclient.ErrTimeout) || errors.As(err, &timeout) && timeout.Timeout():
		return Unavailable, "a firewall on the way drops the packets, or the server is down: ask its operator whether " + address + " is open to this machine"
	case class == ftpclient.ClassUnavailable || class == ftpclient.ClassConnection:
		return Unavailable, "try again later, or ask the operator of the server"
	}
	return NeedsPerson, ""
}
