package ftpclient

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// ErrPoolClosed: the pool gives out no more connections.
var ErrPoolClosed = errors.New("connection pool is closed")

// PoolOptions are the limits of a Pool; 0 means the default in parentheses.
type PoolOptions struct {
	// Max is how many connections there may be at a time (4). What the server takes may be
	// less, which is learned.
	Max int
	// RaiseAfter is how long a learned limit holds until one connection more is tried (10 min).
	RaiseAfter time.Duration
	// IdleTimeout is how long a connection is kept without use (1 min). It is kept for 30 s less
	// than the server allows, if that is shorter, and for half of that at least.
	IdleTimeout time.Duration
	// CheckAfter is how long a connection may be idle and still be given out without asking
	// the server whether it is alive (10 s).
	CheckAfter time.Duration
	// RefusedOnce: when a login was refused, Get gives that error to everybody, without another
	// try, until Reopen. Those who come a moment later do not try the same password again.
	RefusedOnce bool
}

func (p PoolOptions) withDefaults() PoolOptions {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if p.Max <= 0 {
		p.Max = 4
	}
	orDefault(&p.RaiseAfter, 10*time.Minute)
	orDefault(&p.IdleTimeout, time.Minute)
	orDefault(&p.CheckAfter, 10*time.Second)
	return p
}

const (
	// lingering is how long a server may count a connection that is closed.
	lingering = 3 * time.Second
	// lingerDelay is the wait between two tries while it may.
	lingerDelay = 500 * time.Millisecond
)

// Pool lends connections to one server, with one login. Its methods are safe for concurrent
// use. It has no goroutine but those of its timer, for which Close waits.
//
// Who waits longest is served first. Connections are made by those who need them; while there
// is none, by one of them at a time, so that what the first one learns serves the others, and
// a wrong password is tried once and not by everybody.
type Pool struct {
	address string
	dial    Options
	options PoolOptions
	logger  *slog.Logger
	timers  sync.WaitGroup // armed or running

	mu         sync.Mutex // guards following
	facts      Facts
	cost       LoginCost
	limit      int       // connections that the server takes, as far as known
	raiseAt    time.Time // when one more is tried
	quietUntil time.Time // no connection is tried before
	closedAt   time.Time // when a connection was last closed
	usedAt     time.Time // when one was last lent or given back
	lent       map[*Conn]Facts
	idle       []idleConn // longest first
	opening    int        // being dialled
	closing    int        // being closed
	waiting    []*waiter
	getting    map[*waiter]context.CancelCauseFunc // everybody within Get
	refusal    error                               // of the login, with RefusedOnce
	retired    bool                                // connections that come back are closed
	closed     bool
	drained    chan struct{} // closed when the pool is closed and nothing is left
	timer      *time.Timer
}

type idleConn struct {
	conn  *Conn
	since time.Time
	facts Facts // those that the pool knows of this connection
}

// waiter is somebody within Get.
type waiter struct{ ready chan grant }

// grant is what a waiter gets: an idle connection, an error, or else the right to dial.
type grant struct {
	idleConn
	err error
}

// NewPool returns a pool of connections to address, made with o when they are needed.
func NewPool(address string, o Options, p PoolOptions) *Pool {
	p = p.withDefaults()
	pool := &Pool{
		address: address, dial: o, options: p, logger: o.Logger, facts: o.Facts, limit: p.Max,
		lent: map[*Conn]Facts{}, getting: map[*waiter]context.CancelCauseFunc{}, drained: make(chan struct{}),
	}
	if pool.logger == nil {
		pool.logger = slog.New(slog.DiscardHandler)
	}
	if learned := o.Facts.ConnectionLimit; learned > 0 && learned < p.Max {
		now := time.Now()
		pool.limit, pool.raiseAt = learned, now.Add(p.RaiseAfter)
		if at := time.Unix(o.Facts.LimitLearned, 0); at.Before(now) {
			pool.raiseAt = at.Add(p.RaiseAfter)
		}
	}
	return pool
}

// Facts returns what all connections together have learned about the server, those of them
// that are lent as of when they were last in the pool.
func (p *Pool) Facts() Facts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.facts
}

// Get lends a connection, which Put must get back. It waits for one to come free when there
// are as many as may be; so a goroutine that needs two at a time waits for itself where the
// server takes one. Errors are those of Dial; that the server takes no more connections is
// none as long as there is one to wait for. Who waits for a first connection shares the error
// of the one who tried.
func (p *Pool) Get(ctx context.Context) (*Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &waiter{ready: make(chan grant, 1)}
	if err := p.enter(w, cancel); err != nil {
		return nil, err
	}
	defer p.leave(w)
	for {
		var g grant
		select {
		case g = <-w.ready:
		case <-ctx.Done():
			p.giveUp(w)
			return nil, &Error{Op: "wait for a connection", Path: p.address, Err: control.Ended(ctx)}
		}
		if g.err != nil {
			return nil, g.err
		}
		if g.conn != nil {
			if p.alive(ctx, g.idleConn) {
				return g.conn, nil
			}
			g.conn.Close()
			p.replace(g.idleConn)
		}
		if conn, err := p.open(ctx, w); conn != nil || err != nil {
			return conn, err
		}
	}
}

// open makes a connection. Without one, and without an error, w has to wait once more.
func (p *Pool) open(ctx context.Context, w *waiter) (*Conn, error) {
	o := p.dial
	o.Facts = p.Facts()
	if err := control.Ended(ctx); err != nil {
		return nil, p.refused(ctx, w, o.Facts, &Error{Op: "connect", Path: p.address, Err: err})
	}
	conn, err := Dial(ctx, p.address, o)
	if err != nil {
		return nil, p.refused(ctx, w, o.Facts, err)
	}
	if !p.accepted(conn, o.Facts) {
		p.close(conn)
		return nil, &Error{Op: "connect", Path: p.address, Err: ErrPoolClosed}
	}
	return conn, nil
}

// Put gives a connection back. One that is not usable any more is closed. Putting back what
// is not lent does nothing.
func (p *Pool) Put(conn *Conn) {
	p.mu.Lock()
	known, ok := p.lent[conn]
	if !ok {
		p.mu.Unlock()
		return
	}
	delete(p.lent, conn)
	p.usedAt = time.Now()
	conn.listingLimit = maxListing
	p.learn(known, conn.Facts())
	// One that reads names in another way than the others is not lent again.
	sameNames := conn.facts.Encoding == "" || conn.facts.Encoding == p.facts.Encoding
	if conn.Usable() && sameNames && !p.closed && !p.retired && p.present() < p.limit {
		p.idle = append(p.idle, idleConn{conn, time.Now(), conn.Facts()})
		p.turn()
		p.mu.Unlock()
		return
	}
	p.closing++
	p.mu.Unlock()
	p.close(conn)
}

// Close makes those who wait give up, closes the connections that are idle, and waits until
// the lent ones are back and closed. It may be called again.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	for _, cancel := range p.getting {
		cancel(ErrPoolClosed)
	}
	idle := p.takeIdle(len(p.idle))
	p.turn()
	p.mu.Unlock()
	p.close(idle...)
	<-p.drained
	p.timers.Wait()
	return nil
}

// close closes connections that are counted as closing. All at once, since a server may leave
// each of them without an answer to its QUIT.
func (p *Pool) close(conns ...*Conn) {
	var closers sync.WaitGroup
	for _, conn := range conns {
		closers.Go(func() { conn.Close() })
	}
	closers.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing -= len(conns)
	p.closedAt = time.Now()
	p.turn()
}

// Reopen has the login tried again: see PoolOptions.RefusedOnce.
func (p *Pool) Reopen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = nil
}

func (p *Pool) enter(w *waiter, cancel context.CancelCauseFunc) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return &Error{Op: "connect", Path: p.address, Err: ErrPoolClosed}
	case p.refusal != nil:
		return p.refusal
	}
	p.retired = false
	p.getting[w] = cancel
	p.waiting = append(p.waiting, w)
	p.turn()
	return nil
}

func (p *Pool) leave(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.getting, w)
	p.turn()
}

// giveUp hands on what a waiter was granted at the moment when it gave up.
func (p *Pool) giveUp(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return
	}
	switch g := <-w.ready; {
	case g.err != nil:
	case g.conn == nil:
		p.opening--
	case p.closed:
		delete(p.lent, g.conn)
		p.closing++
		p.timers.Go(func() { p.close(g.conn) })
	default:
		delete(p.lent, g.conn)
		at, _ := slices.BinarySearchFunc(p.idle, g.since, func(c idleConn, t time.Time) int { return c.since.Compare(t) })
		p.idle = slices.Insert(p.idle, at, g.idleConn)
	}
	p.turn()
}

// accepted takes a new connection in, to be closed if the pool is closed meanwhile.
func (p *Pool) accepted(conn *Conn, dialledWith Facts) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening--
	p.learn(dialledWith, conn.Facts())
	if p.closed {
		p.closing++
		return false
	}
	p.lent[conn] = conn.Facts()
	p.usedAt = time.Now()
	p.cost = LoginCost{Login: conn.loginTook, Turn: conn.connectTook}
	if n := p.present(); n > p.limit {
		p.setLimit(n) // the refusal that made it lower came while this one was on its way
	} else if p.facts.ConnectionLimit > 0 && n > p.facts.ConnectionLimit {
		p.setLimit(p.limit)
	}
	p.turn()
	return true
}

// refused decides what a failed Dial means for the one who tried, and for the others. Without
// an error, w has to wait once more.
func (p *Pool) refused(ctx context.Context, w *waiter, dialledWith Facts, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.turn()
	p.opening--
	var e *Error
	if errors.As(err, &e) && e.Facts != nil {
		p.learn(dialledWith, *e.Facts)
	}
	if ctx.Err() != nil {
		p.brokenOff()
		return err
	}
	now := time.Now()
	class := Classify(err)
	again := false
	switch {
	case class != ClassBusy:
	case p.closing > 0 || now.Sub(p.closedAt) < lingering:
		p.quietUntil = now.Add(lingerDelay)
		again = true
	default:
		if p.connected() > 0 || p.opening == 0 {
			p.setLimit(max(1, p.present()))
		}
		again = p.connected()+p.opening > 0
	}
	if again {
		p.waiting = slices.Insert(p.waiting, 0, w)
		return nil
	}
	if class == ClassAuthentication && p.options.RefusedOnce {
		p.refusal = err
	}
	if p.connected()+p.opening == 0 || class == ClassAuthentication || class == ClassSetup {
		for _, other := range p.waiting {
			other.ready <- grant{err: err}
		}
		p.waiting = nil
	}
	return err
}

// Lower notes that the server refused a transfer as one too many, which it counts apart from
// connections: there is one less of them from now on, and until RaiseAfter. One that is lent
// is closed when it comes back.
func (p *Pool) Lower() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setLimit(max(1, p.present()-1))
}

// setLimit notes how many connections the server takes.
func (p *Pool) setLimit(limit int) {
	now := time.Now()
	p.limit = min(limit, p.options.Max)
	p.raiseAt = now.Add(p.options.RaiseAfter)
	p.facts.ConnectionLimit, p.facts.LimitLearned = p.limit, now.Unix()
	if p.limit == p.options.Max {
		p.facts.ConnectionLimit, p.facts.LimitLearned = 0, 0
	}
	p.logger.Debug("connections that the server takes", "address", p.address, "limit", p.limit)
}

// learn merges what a connection has learned since known into what the pool knows.
func (p *Pool) learn(known, now Facts) {
	idle := p.facts.IdleLimit
	if known.Encoding == "" && p.facts.Encoding != "" {
		now.Encoding = "" // the first evidence counts
	}
	before, after, all := reflect.ValueOf(known), reflect.ValueOf(now), reflect.ValueOf(&p.facts).Elem()
	for i := range all.NumField() {
		if !reflect.DeepEqual(before.Field(i).Interface(), after.Field(i).Interface()) {
			all.Field(i).Set(after.Field(i))
		}
	}
	p.facts.IdleLimit = shorter(p.facts.IdleLimit, idle) // experience before announcements
}

// connected is how many connections the server may count.
func (p *Pool) connected() int { return len(p.lent) + len(p.idle) + p.closing }

// turn gives those who wait what there is, in their order, and sets the timer for what comes
// next. It is called after each change.
func (p *Pool) turn() {
	now := time.Now()
	for len(p.waiting) > 0 && !p.closed {
		var g grant
		if last := len(p.idle) - 1; last >= 0 {
			g.idleConn = p.idle[last]
			p.idle = p.idle[:last]
			g.facts = g.conn.adopt(g.facts, p.facts)
			p.lent[g.conn] = g.facts
			p.usedAt = now
		} else if p.mayOpen(now) {
			p.opening++
		} else {
			break
		}
		p.waiting[0].ready <- g
		p.waiting = slices.Delete(p.waiting, 0, 1)
	}
	if p.timer != nil && p.timer.Stop() {
		p.timers.Done()
	}
	p.timer = nil
	if p.closed {
		if p.connected()+p.opening+len(p.getting) == 0 {
			select {
			case <-p.drained:
			default:
				close(p.drained)
			}
		}
		return
	}
	if at := p.next(now); !at.IsZero() {
		p.timers.Add(1)
		p.timer = time.AfterFunc(at.Sub(now), p.tick)
	}
}

// mayOpen reports whether one connection more may be made.
func (p *Pool) mayOpen(now time.Time) bool {
	switch {
	case now.Before(p.quietUntil), p.connected() == 0 && p.opening > 0:
		return false
	case p.connected()+p.opening < p.limit:
		return true
	case p.limit < p.options.Max && p.opening == 0 && !now.Before(p.raiseAt):
		p.limit++
		p.raiseAt = now.Add(p.options.RaiseAfter)
		return true
	}
	return false
}

// next is when there is something to do that no call brings about, zero for never.
func (p *Pool) next(now time.Time) time.Time {
	var next time.Time
	consider := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if len(p.idle) > 0 {
		consider(p.idle[0].since.Add(p.idleTime()))
	}
	if len(p.waiting) > 0 {
		switch {
		case now.Before(p.quietUntil):
			consider(p.quietUntil)
		case p.limit < p.options.Max && p.opening == 0:
			consider(p.raiseAt)
		}
	}
	return next
}
