package ftpclient

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

const (
	// leastLeftOut and mostLeftOut bound how long an address is left out that did not work. It doubles each time.
	leastLeftOut = time.Second
	mostLeftOut  = 15 * time.Minute
)

// Addresses lends connections to the first of several addresses that works: of one server that can be reached in several
// ways, or of several that show the same files. Its methods are safe for concurrent use. It has no goroutine but those of its
// pools, one for each address, for which Close waits.
//
// An address works if it can be reached, greets, and protects the connection as asked. One that does not is left out for a
// second, then for twice as long each time, up to 15 minutes, give or take; after that one connection tries it while others are
// still made to another address. When it works again, new connections go there, and those to later addresses are closed when
// they come back. An address that refuses the login works: the next one would be asked the same.
//
// If none works, Get fails with an AddressesError, and the next Get tries all of them again: how soon that may be is left to
// the caller. With a single address there is nothing to choose, and errors are those of its Pool.
type Addresses struct {
	pools  []*Pool
	logger *slog.Logger

	mu       sync.Mutex // guards following
	circuits []circuit  // of the pools
	inUse    int
	lent     map[*Conn]*Pool
}

// circuit is what is known about an address: closed as long as it has not failed.
type circuit struct {
	failures int       // in a row
	until    time.Time // when it may be tried again
	trying   bool      // by one who finds out whether it works again
	err      error     // the last failure
}

// NewAddresses returns what lends connections to addresses, of which there is at least one. facts are what is known of each of
// them, in place of o.Facts; what is missing is not known. The limits of p hold for each address.
func NewAddresses(addresses []string, o Options, facts map[string]Facts, p PoolOptions) *Addresses {
	a := &Addresses{circuits: make([]circuit, len(addresses)), lent: map[*Conn]*Pool{}, logger: o.Logger}
	for _, address := range addresses {
		o.Facts = facts[address]
		a.pools = append(a.pools, NewPool(address, o, p))
	}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	return a
}

// AddressesError says of each address why it does not work.
type AddressesError struct {
	Addresses []string
	Errors    []error // of each of them
}

// Error is one line.
func (e *AddressesError) Error() string {
	reasons := make([]string, len(e.Errors))
	for i, err := range e.Errors {
		reason := strings.TrimPrefix(err.Error(), "connect "+e.Addresses[i]+": ")
		reasons[i] = e.Addresses[i] + ": " + strings.TrimPrefix(reason, "connect: ")
	}
	return "no address works: " + strings.Join(reasons, "; ")
}

// class is what all addresses have in common, else that the server cannot be reached. It must not be told by the first one that
// has something to say, which is why there is no Unwrap.
func (e *AddressesError) class() Class {
	class := ClassUnavailable
	for i, err := range e.Errors {
		if c := Classify(err); i == 0 {
			class = c
		} else if c != class {
			return ClassUnavailable
		}
	}
	return class
}

// Get lends a connection, which Put must get back; see Pool.Get.
func (a *Addresses) Get(ctx context.Context) (*Conn, error) {
	if len(a.pools) == 1 {
		return a.pools[0].Get(ctx)
	}
	failed := &AddressesError{}
	all := a.allOut(time.Now())
	for i, pool := range a.pools {
		trial, err := a.try(i, all)
		if err == nil {
			var conn *Conn
			if conn, err = pool.Get(ctx); err == nil {
				a.works(conn, i, trial)
				return conn, nil
			}
			if !a.failed(ctx, i, trial, err) {
				return nil, err
			}
		}
		failed.Addresses, failed.Errors = append(failed.Addresses, pool.address), append(failed.Errors, err)
	}
	if err := control.Ended(ctx); err != nil {
		return nil, &Error{Op: "connect", Err: err}
	}
	return nil, &Error{Op: "connect", Err: failed}
}

// trial is a use of an address, as it was when that began.
type trial struct {
	failures int
	alone    bool // nobody else may try it meanwhile
}

// allOut reports whether every address is left out.
func (a *Addresses) allOut(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.circuits {
		if !c.leftOut(now) {
			return false
		}
	}
	return true
}

// leftOut reports whether an address is not to be tried; one that waits for longer than it can have been told to does so by a
// clock that was wrong.
func (c circuit) leftOut(now time.Time) bool {
	return c.failures > 0 && (c.trying || now.Before(c.until) && c.until.Sub(now) <= mostLeftOut)
}

// try begins the use of an address, or returns why it is left out. all means that none is.
func (a *Addresses) try(i int, all bool) (trial, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := &a.circuits[i]
	t := trial{failures: c.failures}
	switch {
	case c.failures == 0, all:
	case c.leftOut(time.Now()):
		return t, c.err
	default:
		c.trying, t.alone = true, true
	}
	return t, nil
}

// works notes that an address works, and that connections to later ones are not needed any more.
func (a *Addresses) works(conn *Conn, i int, t trial) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lent[conn] = a.pools[i]
	switch c := &a.circuits[i]; {
	case c.failures == t.failures:
		*c = circuit{}
	case t.alone: // it has failed since for somebody else
		c.trying = false
	}
	if i == a.inUse || i > a.inUse && a.circuits[a.inUse].failures == 0 {
		return
	}
	attributes := []any{"address", a.pools[i].address, "was", a.pools[a.inUse].address}
	if err := a.circuits[a.inUse].err; err != nil {
		attributes = append(attributes, "reason", err)
	}
	a.logger.Info("another address is in use", attributes...)
	a.inUse = i
	for _, later := range a.pools[i+1:] {
		later.retire()
	}
}

// failed notes that an address did not work, once for all who tried it at the same time, and reports whether the next one is
// to be tried.
func (a *Addresses) failed(ctx context.Context, i int, t trial, err error) (next bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := &a.circuits[i]
	if t.alone {
		c.trying = false
	}
	if ctx.Err() != nil {
		return false
	}
	switch class := Classify(err); {
	case class == ClassSetup && errors.Is(err, ErrOptions):
		return false
	case class != ClassUnavailable && class != ClassBusy && class != ClassSetup && class != ClassConnection:
		return false
	}
	if c.failures == t.failures {
		delay := min(leastLeftOut<<min(c.failures, 20), mostLeftOut)
		c.failures++
		c.until = time.Now().Add(delay/2 + rand.N(delay/2+1))
	}
	c.err = err
	return true
}

// Put gives a connection back; see Pool.Put.
func (a *Addresses) Put(conn *Conn) {
	if len(a.pools) == 1 {
		a.pools[0].Put(conn)
		return
	}
	a.mu.Lock()
	pool := a.lent[conn]
	delete(a.lent, conn)
	a.mu.Unlock()
	if pool != nil {
		pool.Put(conn)
	}
}

// InUse is the address to which new connections are made: the first one until another had to stand in.
func (a *Addresses) InUse() string { return a.current().address }

func (a *Addresses) current() *Pool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pools[a.inUse]
}

// Facts returns what is known about the address in use; see Pool.Facts.
func (a *Addresses) Facts() Facts { return a.current().Facts() }

// AllFacts returns what is known about each address.
func (a *Addresses) AllFacts() map[string]Facts {
	all := make(map[string]Facts, len(a.pools))
	for _, pool := range a.pools {
		all[pool.address] = pool.Facts()
	}
	return all
}

// Lower notes that the address in use refused a transfer as one too many; see Pool.Lower.
func (a *Addresses) Lower() { a.current().Lower() }

// Reopen has refused logins tried again (see PoolOptions.RefusedOnce), and every address at once.
func (a *Addresses) Reopen() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, pool := range a.pools {
		pool.Reopen()
		a.circuits[i].until = time.Time{}
	}
}

// Close closes all pools; see Pool.Close.
func (a *Addresses) Close() error {
	var closers sync.WaitGroup
	for _, pool := range a.pools {
		closers.Go(func() { pool.Close() })
	}
	closers.Wait()
	return nil
}
