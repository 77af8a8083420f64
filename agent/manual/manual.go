// Package manual does to single files and folders on a server what a person asks for at this moment: ls, get, put. It knows no
// syncs and keeps no state. Files are carried by agent/work, as those of a sync are: with a temporary name, verified, renamed.
package manual

import (
	"context"
	"errors"
	"log/slog"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
)

// Server is where files are. Its methods may be called by one goroutine at a time.
type Server struct {
	// Name is what people call it.
	Name string
	// Pool lends the connections, and Connections is how many files are transferred at a time, at least 1.
	Pool        *ftpclient.Addresses
	Connections int
	// ZoneKnown: the configuration tells the time zone of its listings.
	ZoneKnown bool
	Logger    *slog.Logger
}

// tries is how often something is begun before the loss of its connection is told.
const tries = 3

// Refusals of this package.
var (
	// ErrExists: something else has the name that a file was to get.
	ErrExists = errors.New("another file has that name already; --force replaces it")
	// ErrInTheWay: what has the name is nothing that a file replaces.
	ErrInTheWay = errors.New("something that is no regular file has that name already")
	// ErrFolder: a folder is where a file was meant.
	ErrFolder = errors.New("this is a folder; -r copies it with all that is in it")
	// ErrNoFolder: what is to take several things is no folder.
	ErrNoFolder = errors.New("there is no such folder; with a slash at its end it is made")
	// ErrNotFile: neither a file nor a folder.
	ErrNotFile = errors.New("neither a file nor a folder")
	// ErrMoving: a source that has changed again and again while it was copied.
	ErrMoving = errors.New("not copied, as it does not stay as it is")
)

// Verdict says what an error asks for. The higher one counts of several.
type Verdict uint8

// The verdicts.
const (
	Done Verdict = iota
	// Unfinished: trying again may help.
	Unfinished
	// Unavailable: the server cannot be used now.
	Unavailable
	// NeedsPerson: trying again is pointless.
	NeedsPerson
)

// Judge reads an error.
func Judge(err error) Verdict {
	var remote *ftpclient.Error
	switch {
	case err == nil:
		return Done
	case errors.Is(err, context.Canceled), errors.Is(err, ErrMoving):
		return Unfinished
	case !errors.As(err, &remote):
		return NeedsPerson
	}
	switch ftpclient.Classify(err) {
	case ftpclient.ClassUnavailable, ftpclient.ClassBusy:
		return Unavailable
	case ftpclient.ClassRetry, ftpclient.ClassConnection, ftpclient.ClassLater, ftpclient.ClassCancelled:
		return Unfinished
	}
	return NeedsPerson
}

// broken reports an error that another connection may cure.
func broken(err error) bool {
	return err != nil && ftpclient.Classify(err) == ftpclient.ClassConnection
}

// ends reports an error that all other files would meet, too.
func ends(err error) bool {
	switch ftpclient.Classify(err) {
	case ftpclient.ClassUnavailable, ftpclient.ClassAuthentication, ftpclient.ClassBusy, ftpclient.ClassSetup, ftpclient.ClassCancelled:
		return true
	}
	return errors.Is(err, context.Canceled)
}

// on calls do with a connection, and with another one when that breaks. do has to begin anew then.
func (s *Server) on(ctx context.Context, do func(*ftpclient.Conn) error) error {
	for try := 1; ; try++ {
		conn, err := s.Pool.Get(ctx)
		if err == nil {
			err = do(conn)
			s.Pool.Put(conn)
		}
		if !broken(err) || try == tries || ctx.Err() != nil {
			return err
		}
	}
}

// borrower has a connection for as long as it has use for one. It is used by one goroutine.
type borrower struct {
	pool *ftpclient.Addresses
	conn *ftpclient.Conn
}

// connect returns a connection that can be used.
func (b *borrower) connect(ctx context.Context) (_ *ftpclient.Conn, err error) {
	if b.conn == nil || !b.conn.Usable() {
		b.release()
		b.conn, err = b.pool.Get(ctx)
	}
	return b.conn, err
}

func (b *borrower) release() {
	if b.conn != nil {
		b.pool.Put(b.conn)
		b.conn = nil
	}
}

// refuses reports that the server does not let anybody look, as mere drop boxes do.
func refuses(conn *ftpclient.Conn, err error) bool {
	return err != nil && conn.Usable() && !work.IsAbsent(err) && ftpclient.Classify(err) == ftpclient.ClassPermanent
}

// Live tells how far the transfer of a file has come.
type Live = work.Live
