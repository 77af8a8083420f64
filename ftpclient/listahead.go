package ftpclient

import (
	"context"
	"errors"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// ListAhead is List for one of many folders. more says that another one, or another transfer by StoreAhead or RetrieveAhead, follows at
// once. Where the server stands that it takes two round trips, three where nothing may be outstanding behind a transfer, and twice that while it is not known
// by which command it lists all.
func (c *Conn) ListAhead(ctx context.Context, p string, more bool) (Listing, error) {
	if !c.goesAhead() {
		return c.List(ctx, p)
	}
	more = more && c.stands() == aheadWorks // elsewhere the next one is asked for when its folder is entered
	if _, fits, err := c.direct(line{verb: "CWD"}, c.Absolute(p)); err != nil || !fits {
		return c.List(ctx, p)
	}
	folder := c.NewBatch()
	entered := folder.enter(p)
	by := func(verb, argument, format string) (Listing, error) {
		before := folder
		folder = nil // it is entered once
		return c.listBehind(ctx, before, entered, request{op: "list", path: p, verb: verb, argument: argument}, format, more)
	}
	var l Listing
	var err error
	asked := "" // the argument, where it is known which one
	switch {
	case c.hasMLSD():
		l, err = by("MLSD", "", "mlsd")
	case c.facts.ListAll == "":
		l, err = c.listLines(ctx, func(argument string) (Listing, error) { return by("LIST", argument, "") })
	default:
		if c.facts.ListAll == "yes" {
			asked = "-a"
		}
		l, err = by("LIST", asked, "")
		l.Hidden = l.Hidden || asked != ""
	}
	if entered.Err != nil && !errors.Is(entered.Err, ErrUnanswered) {
		return Listing{}, entered.Err
	}
	if err == nil && !c.hasMLSD() {
		err = c.fixTimes(ctx, c.Absolute(p), &l)
	}
	if err != nil && c.Usable() && ctx.Err() == nil || asked != "" && len(l.Entries) == 0 {
		return c.List(ctx, p) // which knows all ways, and what refusals mean
	}
	return l, err
}

// goesAhead reports whether looks and listings may go in groups, without a proof of that.
func (c *Conn) goesAhead() bool {
	return c.stands() != aheadFails && c.naming.opaque == "" && (c.facts.Pipelining == "yes" || c.facts.Pipelining == "" && orderly[c.facts.Server])
}

// listBehind lists the folder that before enters, in the same write, which is told by entered.
func (c *Conn) listBehind(ctx context.Context, before *Batch, entered *Answer, r request, format string, more bool) (Listing, error) {
	transfer, err := c.startAhead(ctx, before, r, more)
	if entered.Err != nil && !errors.Is(entered.Err, ErrUnanswered) {
		if transfer != nil {
			transfer.Abort(ctx) // it lists another folder
		}
		return Listing{}, entered.Err
	}
	if err != nil {
		return Listing{}, err
	}
	return c.readListing(ctx, transfer, format)
}

// StatAhead is Stat of a folder that ListAhead lists next: where the server stands that, the data connection of the listing is asked for in
// the same write, if its way is known to work: a firewall that reads along may answer that question itself, and before the server has answered the other.
func (c *Conn) StatAhead(ctx context.Context, p string) (list.Entry, error) {
	if !c.goesAhead() {
		return c.Stat(ctx, p)
	}
	if stands, err := c.standsAhead(ctx, request{op: "stat", path: p}); err != nil || stands == aheadFails {
		if err != nil {
			return list.Entry{}, err
		}
		return c.Stat(ctx, p)
	}
	verbs := []string{"SIZE", "CWD"} // which Stat takes for a folder if the one is refused and the other is not
	if c.hasMLST() {
		verbs = []string{"MLST"}
	}
	questions := c.questions([]string{p}, verbs...)
	way, _ := data.Next(c.remembering(c.environment(), time.Now()), c.unreachable)
	passive, err := control.NewCommand(way.Command.String(), "")
	if len(questions) == 0 || err != nil || !c.isKnown(way) {
		return c.Stat(ctx, p)
	}
	replies, err := c.doGroup(ctx, "stat", append(questions[0], passive))
	if err != nil {
		return list.Entry{}, err
	}
	if last := replies[len(replies)-1]; last.Completed() {
		c.prepareReady(ctx, last, way)
	}
	if c.hasMLST() {
		if entry, sure, err := c.readMLST(p, replies[0]); sure {
			return entry, err
		}
	} else if !replies[0].Completed() && replies[1].Completed() {
		return list.Entry{Name: c.base(p), Type: list.Dir, Size: -1}, nil
	}
	return c.Stat(ctx, p)
}
