package ftpclient

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// search looks for a data connection for one transfer.
type search struct {
	conn    *Conn
	request request
	command control.Command
	placed  bool // the server is in the folder and the MODE that command needs
	moved   bool // the server may have left the folder that it was in at the beginning
	tried   []data.Attempt
	earlier int  // how many of tried are from earlier transfers
	again   int  // how often a proof was repeated for another port of the gateway
	looked  bool // for the target of an upload
	target  target
}

// mappingsTried bounds search.again.
const mappingsTried = 3

// find gets a data connection ready, by the first way that works: prepared, and if it is an
// active one proven. The order of commands is: the folder, MODE, all about the data connection.
func (s *search) find(ctx context.Context) (data.Pending, DataWay, error) {
	c := s.conn
	c.locate()
	if first, _ := data.Next(c.environment(), nil); c.facts.Channels.of(c.outlook.key).expired(first, time.Now()) {
		c.unreachable = nil // what failed long ago in this session deserves another chance, too
	}
	s.tried, s.earlier = slices.Clone(c.unreachable), len(c.unreachable)
	for {
		if err := s.place(ctx); err != nil {
			return nil, DataWay{}, err
		}
		c.locate() // anew when a reconnect has led through another network
		env := c.remembering(c.environment(), time.Now())
		way, ok := data.Next(env, s.tried)
		if !ok {
			c.unreachable = nil // it may have been a bad moment: start over, now if nothing was tried now
			if s.earlier > 0 && len(s.tried) == s.earlier {
				s.tried, s.earlier = nil, 0
				continue
			}
			return nil, DataWay{}, s.nothing()
		}
		if way.Method != data.Passive && !c.knowsEnough(env, way) {
			if err := s.look(ctx); err != nil {
				return nil, DataWay{}, err
			}
			continue
		}
		patience := c.patience(env, s.tried, way)
		if way.Method != data.Passive && !c.isProven(way, "") {
			result, err := c.prove(ctx, way, patience, s.folder())
			s.moved, s.placed = true, false
			if err == nil && result.Works {
				err = s.recover(ctx)
				c.proven = append(c.proven, proof{way, result.Target, result.faith, time.Now()}) // behind that: a server may hang up after each proof
			} else if err == nil {
				err = s.failed(ctx, result.DataAttempt)
			}
			if err != nil {
				return nil, DataWay{}, err
			}
			continue
		}
		if way.Method != data.Passive {
			patience = c.options.ConnectTimeout // this transfer has no other way any more
		}
		if again, err := s.lookAtTarget(ctx, way); err != nil {
			return nil, DataWay{}, err
		} else if again {
			continue
		}
		options := c.dataOptions(patience)
		if s.target == targetOccupied { // which would be lost if another port leads nowhere
			options = c.proofOf(way).only(options)
		}
		pending, attempt, err := c.prepare(ctx, s.request, s.command, way, options)
		if pending != nil && way.Method == data.Mapped && !c.isProven(way, pending.Target()) && s.again < mappingsTried {
			// It is another port than the one that was proven.
			pending.Close()
			c.unprove(way)
			s.again++
			continue
		}
		if err == nil && pending == nil {
			err = s.failed(ctx, attempt)
		}
		if err != nil || pending != nil {
			return pending, way, err
		}
	}
}

// place gets the server to where the command of the transfer is understood.
func (s *search) place(ctx context.Context) error {
	if s.placed {
		return nil
	}
	c, r := s.conn, s.request
	if s.moved && !r.named {
		reply, err := c.changeFolder(ctx, r.op, c.Absolute(r.path))
		if err == nil && !reply.Completed() {
			err = c.refusal(r.op, r.path, "CWD", reply)
		}
		if err != nil {
			return err
		}
	}
	var err error
	if s.command, err = c.transferCommand(ctx, r); err == nil {
		err = c.setMode(ctx, r)
	}
	s.placed = err == nil
	return err
}

// folder is where the names are listed that prove a way.
func (s *search) folder() string {
	absolute := s.conn.Absolute(s.request.path)
	if !s.request.named {
		return absolute
	}
	folder, _ := s.conn.split(absolute)
	return folder
}

// remembering adds the way that worked last, if that is to be tried first.
func (c *Conn) remembering(env data.Env, now time.Time) data.Env {
	first, _ := data.Next(env, nil)
	way, expired := c.facts.Channels.of(c.outlook.key).trusted(first, c.outlook.View, now)
	env.Remembered = way
	c.outlook.again = c.outlook.again || expired
	return env
}

// patience is how long to wait for the data connection of a way.
func (c *Conn) patience(env data.Env, tried []data.Attempt, way DataWay) time.Duration {
	if c.outlook.again { // something is known to work, although it is not its turn yet
		env.Remembered, _ = data.ParseWay(c.facts.Channels.of(c.outlook.key).Way)
	}
	return data.Patience(env, tried, way, c.options.ConnectTimeout)
}

// knowsEnough reports whether an active way can be tried with what is known. One that is
// remembered needs no more than the view of the server: whether that is the same network, and
// what to announce. The sources may take seconds.
func (c *Conn) knowsEnough(env data.Env, way DataWay) bool {
	o := &c.outlook
	announcesDetected := way.Method == data.Forwarded || way.Method == data.Punched
	return o.whole || o.asked && way == env.Remembered && (o.View.IsValid() || !announcesDetected)
}

// look asks the server, then, if that was done, everybody.
func (s *search) look(ctx context.Context) error {
	c := s.conn
	before := c.control
	defer func() {
		if c.control != before { // replaced
			s.placed, s.moved = false, true
		}
	}()
	if !c.outlook.asked {
		return c.askView(ctx)
	}
	return c.survey(ctx)
}

// failed notes an attempt, and gets the control connection into a state in which the next one is
// possible. An error ends the search.
func (s *search) failed(ctx context.Context, a data.Attempt) error {
	c := s.conn
	s.tried = append(s.tried, a)
	c.options.Logger.Debug("data connection failed", "attempt", a.String(), "took", a.Took)
	if !errors.Is(a.Err, data.ErrPortsBusy) { // which is no matter of the way
		if a.Stage != data.Refused {
			c.unreachable = append(c.unreachable, a)
		}
		c.forgetWay(a.Way)
	}
	if !a.Way.Command.Passive() {
		c.hearView(a.Way.Command.String(), a.Reply)
	}
	if _, more := data.Next(c.environment(), s.tried); !more {
		if a.Stage == data.Silent && !a.Way.Command.Passive() {
			c.kill()
		}
		return nil
	}
	if a.Stage == data.Silent {
		s.placed, s.moved = false, true
		return c.reconnect(ctx)
	}
	return s.recover(ctx)
}

// recover replaces a control connection that is not usable any more.
func (s *search) recover(ctx context.Context) error {
	if s.conn.Usable() {
		return nil
	}
	s.placed, s.moved = false, true
	return s.conn.reconnect(ctx)
}

// nothing is the error when no way is left. It is for the caller to log: one who has many connections is told of one
// trouble many times.
func (s *search) nothing() error {
	c := s.conn
	c.locate()
	if c.outlook.spared {
		c.facts.Status = statusBroke // nothing works without its view: it may have learned to tell
	}
	e := &DataError{
		Situation: Situation{
			Host: c.endpoint.Host, Local: c.endpoint.Local.Addr().Unmap(), View: c.outlook.View, TLS: c.tls != nil,
			Policy: c.options.Data.Policy, Ports: c.options.Data.ActivePorts,
			PlainHelper: c.facts.Channels.of(c.outlook.key).PlainHelper,
			Port:        c.endpoint.Server.Port(), Gateway: c.outlook.Network.Gateway,
		},
		Attempts: s.tried, Notes: c.outlook.Verdict.Notes, Unheard: c.outlook.SourceErrors,
	}
	return &Error{Op: s.request.op, Path: s.request.path, Err: e}
}

// prepare gets a data connection ready by one way. Without pending and error the way failed, as
// the attempt tells. Errors are those that no other way cures.
func (c *Conn) prepare(ctx context.Context, r request, command control.Command, way DataWay, options data.Options) (data.Pending, data.Attempt, error) {
	attempt, sent := data.Attempt{Way: way}, ""
	if err := c.announce(ctx, r, command, way.Command); err != nil {
		return nil, attempt, err
	}
	ask := func(ctx context.Context, verb, argument string) (control.Reply, error) {
		command, err := control.NewCommand(verb, argument)
		if err != nil {
			return control.Reply{}, &Error{Op: r.op, Path: r.path, Err: err}
		}
		sent = argument
		attempt.Reply, err = c.doCommand(ctx, r.op, r.path, command)
		return attempt.Reply, err
	}
	began := time.Now()
	var pending data.Pending
	var err error
	try := func() { pending, err = data.Prepare(ctx, way, c.endpoint, ask, options) }
	if way.Method == data.Passive {
		c.aside(ctx, try)
	} else {
		try()
	}
	if err == nil {
		return pending, attempt, nil
	}
	var refusal *data.ReplyError
	if errors.As(err, &refusal) && !c.facts.NeedsPRET && way.Command.Passive() && asksForPRET(refusal.Reply) {
		c.facts.NeedsPRET = true
		return c.prepare(ctx, r, command, way, options) // the same way again
	}
	attempt.Took, attempt.Err, attempt.Stage = time.Since(began), err, data.StageOf(err)
	attempt.Target = targetOf(way.Command.String(), sent, err)
	return nil, attempt, c.fatal(ctx, r, &attempt)
}

// fatal returns the error of an attempt that is no matter of ways. It may correct the stage.
func (c *Conn) fatal(ctx context.Context, r request, a *data.Attempt) error {
	if cause := control.Ended(ctx); cause != nil {
		return &Error{Op: r.op, Path: r.path, Err: cause}
	}
	var e *Error
	if data.Fatal(a.Err) && errors.As(a.Err, &e) {
		if a.Way.Command.Passive() || !errors.Is(e, ErrTimeout) {
			return e
		}
		a.Stage = data.Silent // it is busy with the call
		return nil
	}
	var refusal *data.ReplyError
	if !errors.As(a.Err, &refusal) {
		return nil
	}
	if refusal.Reply.Code == 530 { // the login is lost, which is no matter of ways
		return c.refusal(r.op, r.path, a.Way.Command.String(), refusal.Reply)
	}
	c.facts.EPSVRefused = c.facts.EPSVRefused || a.Way.Command == EPSV && refusal.Reply.Code >= 500
	return nil
}

// announce tells a server that asked for it what the next passive data connection is for
// (PRET, an extension of drftpd, which picks a machine by that).
func (c *Conn) announce(ctx context.Context, r request, command control.Command, mode Mode) error {
	if !c.facts.NeedsPRET || !mode.Passive() {
		return nil
	}
	reply, err := c.do(ctx, r.op, r.path, "PRET", command.String())
	if err != nil || reply.Completed() {
		return err
	}
	if refusal := c.refusal(r.op, r.path, "PRET", reply); !refusedCommand(refusal) {
		return refusal // of the transfer itself: no such file, no space
	}
	c.facts.NeedsPRET = false // another server by now
	return nil
}

// asksForPRET reads "503 You need to use a client supporting PRET (PRE Transfer) to use PASV".
func asksForPRET(reply control.Reply) bool {
	return slices.ContainsFunc(strings.Fields(reply.Text()), func(word string) bool {
		return strings.Trim(word, `"'().,;:`) == "PRET"
	})
}
