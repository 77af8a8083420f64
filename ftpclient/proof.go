package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// proof is an active way that was seen to work on this control connection, and what was announced
// then.
type proof struct {
	way    DataWay
	target string
	faith  bool      // nothing was seen: the server lists nothing
	last   time.Time // when it worked last
}

// proofOf returns the latest proof of a way, the zero value if there is none.
func (c *Conn) proofOf(way DataWay) (latest proof) {
	for _, p := range c.proven {
		if p.way == way && !p.last.Before(latest.last) {
			latest = p
		}
	}
	return latest
}

// isProven reports whether a way was proven; for ports of the gateway, of which each may lead
// somewhere else, whether target was, unless that is "".
func (c *Conn) isProven(way DataWay, target string) bool {
	return slices.ContainsFunc(c.proven, func(p proof) bool { return p.way == way && (target == "" || p.target == target) })
}

// only restricts configured ports to the proven one: of a range, some may be forwarded and others
// not. It is pure.
func (p proof) only(o data.Options) data.Options {
	target, err := netip.ParseAddrPort(p.target)
	announced := o.AnnouncedPorts
	if announced.First == 0 {
		announced = o.ActivePorts
	}
	port := target.Port()
	if err != nil || announced.First == 0 || p.way.Method == data.Mapped || port < announced.First || port > announced.Last {
		return o
	}
	local := o.ActivePorts.First + (port - announced.First)
	o.ActivePorts = PortRange{First: local, Last: local}
	if o.AnnouncedPorts.First > 0 {
		o.AnnouncedPorts = PortRange{First: port, Last: port}
	}
	return o
}

// unprove forgets the proof of a way.
func (c *Conn) unprove(way DataWay) {
	c.proven = slices.DeleteFunc(c.proven, func(p proof) bool { return p.way == way })
}

// proofs list names, which harms nobody: a server empties the file of a STOR before it has a
// data connection. Some refuse one command, or say that nothing is no list.
var proofs = []string{"NLST", "LIST"}

// proofLimit is how much of a proof is read to the end, in bytes: to abort costs more than that.
const proofLimit = 1 << 20

// prove finds out whether data come through by a way, by listing the names in folder or, if that
// is not there, in the current one. What counts is that the connection comes, and from the
// server; with TLS, that it is protected. A result that does not work tells why; errors are
// those that no other way cures. The control connection may be unusable afterwards.
//
// A server that refuses to list anything to anybody proves nothing, and the way counts as
// one that works, so that a mere drop box can be used.
func (c *Conn) prove(ctx context.Context, way DataWay, patience time.Duration, folder string) (WayResult, error) {
	result := WayResult{DataAttempt: data.Attempt{Way: way}}
	if _, err := c.changeFolder(ctx, "list", folder); err != nil {
		return result, err
	}
	for _, verb := range proofs {
		listed, err := c.proveBy(ctx, way, patience, request{op: "list", path: folder, verb: verb}, &result)
		if listed || err != nil {
			return result, err
		}
	}
	c.options.Logger.Warn("a way of data connections cannot be proven, because the server lists nothing", "address", c.address,
		"way", way.String(), "reply", result.Reply.String())
	result.Works, result.faith = true, true
	return result, nil
}

// proveBy is prove by one command. listed is false if the server refuses to list.
func (c *Conn) proveBy(ctx context.Context, way DataWay, patience time.Duration, r request, result *WayResult) (listed bool, err error) {
	command, err := control.NewCommand(r.verb, "")
	if err != nil {
		return false, &Error{Op: r.op, Path: r.path, Err: err}
	}
	began := time.Now()
	pending, attempt, err := c.prepare(ctx, r, command, way, c.dataOptions(patience))
	if result.DataAttempt = attempt; err != nil || pending == nil {
		return true, err
	}
	result.Target, result.Listened = pending.Target(), pending.Listened()
	t, err := c.begin(ctx, r, command, pending, way, around{})
	result.Took = time.Since(began)
	if err == nil {
		result.Works, result.Resumed = true, t.resumed
		err = t.readProof(ctx)
		if err == nil || !outOfWays(err) {
			return true, nil
		}
		result.Works = false
	}
	return c.readRefusal(ctx, r, err, result)
}

// readProof ends a transfer of names. Its errors are no matter but for those of TLS and of the
// data connection: a refusal of what is listed comes by the connection that was to be proven.
func (t *Transfer) readProof(ctx context.Context) error {
	n, _ := io.Copy(io.Discard, io.LimitReader(t, proofLimit)) // its error is Finish's, too
	if n == proofLimit {
		t.Abort(ctx)
		return nil
	}
	_, err := t.Finish(ctx)
	return err
}

// outOfWays reports whether an error behind the opening of a data connection speaks against the way.
func outOfWays(err error) bool {
	var e *Error
	return !errors.As(err, &e) || e.Code == 0 || noConnection(e.Code) || isOfTLS(err)
}

// noConnection knows the replies that say so (RFC 959 section 4.2).
func noConnection(code int) bool { return code == 425 || code == 426 }

// isOfTLS reports whether an error is about the protection of data, and so of every way.
func isOfTLS(err error) bool {
	return errors.Is(err, ErrInsecure) || errors.Is(err, ErrCertificate) || errors.Is(err, ErrNotResumed) || errors.Is(err, ErrTicketExpired)
}

// readRefusal takes the error of a proof apart: a matter of the way, of what was to be
// listed (listed is false), or of neither.
func (c *Conn) readRefusal(ctx context.Context, r request, err error, result *WayResult) (listed bool, _ error) {
	if cause := control.Ended(ctx); cause != nil {
		return true, &Error{Op: r.op, Path: r.path, Err: cause}
	}
	var e *Error
	if !errors.As(err, &e) || isOfTLS(err) || errors.Is(err, ErrClosing) || e.Code == 530 {
		return true, err
	}
	if e.Code != 0 {
		result.Reply = control.Reply{Code: e.Code, Lines: strings.Split(e.Text, "\n")}
	}
	result.Err = e.Err
	switch {
	case e.Code == 0:
		result.Stage = data.StageOf(e.Err)
	case !noConnection(e.Code) && !errors.Is(err, errUnseen) && !errors.Is(err, data.ErrNotCalled):
		return false, nil
	default:
		result.Err, result.Stage = fmt.Errorf("%w: %s", data.ErrNotCalled, result.Reply), data.Rejected
		if saysAny(e.Text, "timed out", "timeout", "time out") {
			result.Stage = data.Silent
		}
	}
	return true, nil
}

// targetOf tells what was dialled or announced, as far as a failure tells: by the arguments of
// the command, or from the error.
func targetOf(verb, argument string, err error) string {
	switch verb {
	case "PORT":
		if address, err := data.ParsePASV(argument); err == nil {
			return address.String()
		}
	case "EPRT":
		if fields := strings.Split(argument, "|"); len(fields) == 5 {
			return net.JoinHostPort(fields[2], fields[3])
		}
	}
	var dialled *net.OpError
	if errors.As(err, &dialled) && dialled.Op == "dial" && dialled.Addr != nil {
		if _, err := netip.ParseAddrPort(dialled.Addr.String()); err == nil {
			return dialled.Addr.String()
		}
	}
	return ""
}
