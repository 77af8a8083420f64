package ftpclient

import (
	"context"
	"errors"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// ErrOverwrite: a file is there, and the way of data connections is one that may fail at any time
// (a punched hole, or one that the server does not let prove). The server would empty the file before
// that shows. Nothing was sent.
var ErrOverwrite = errors.New("a file of that name is there, and would be lost if the data connection does not come, of which nobody can be sure here: " +
	"store under a new name, then rename")

// target is what an upload in an active way finds under its name: servers make or empty the file
// before they have a data connection.
type target uint8

const (
	targetUnknown  target = iota // not asked, or the server does not tell
	targetAbsent                 // as far as the server shows
	targetOccupied               // by a file with content
)

// lookAtTarget asks for the file that an upload is going to make, once, if it goes an active way.
// Errors are that of the control connection, and ErrOverwrite. again is true if the way has to be
// proven once more before.
func (s *search) lookAtTarget(ctx context.Context, way DataWay) (again bool, _ error) {
	c, r := s.conn, s.request
	if way.Method == data.Passive || !r.upload || r.offset > 0 {
		return false, nil
	}
	if !s.looked {
		reply, err := c.doPath(ctx, r.op, r.path, "SIZE", "")
		if err != nil {
			return false, err
		}
		s.looked = true
		if size, err := parseSize(reply); reply.Completed() && err == nil && size > 0 {
			s.target = targetOccupied
		} else if reply.Code == 550 {
			s.target = targetAbsent
		}
	}
	if s.target != targetOccupied || r.verb != "STOR" {
		return false, nil
	}
	proven := c.proofOf(way)
	if way.Method == data.Punched || proven.faith {
		return false, &Error{Op: r.op, Path: r.path, Err: ErrOverwrite}
	}
	if time.Since(proven.last) > proofLifetime {
		c.unprove(way)
		return true, nil
	}
	return false, nil
}

// proofLifetime is for how long a way that worked is trusted with a file that is there already:
// mappings end, and gateways start anew.
const proofLifetime = time.Minute

// takeBack removes the empty file that an upload without data connection has made. It was absent
// before, so that it is nobody else's. What cannot be removed is an event for the log.
func (c *Conn) takeBack(ctx context.Context, r request) {
	if control.Ended(ctx) != nil {
		return
	}
	bounded, stop := context.WithTimeout(ctx, takeBackPatience)
	defer stop()
	err := c.untilClosed(bounded, "remove", r.path, func(ctx context.Context) error {
		if !c.Usable() { // a server that is calling in vain does not hear
			if err := c.reconnect(ctx); err != nil {
				return err
			}
		}
		size, err := c.Size(ctx, r.path)
		var e *Error
		switch {
		case errors.As(err, &e) && e.Code == 550:
			return nil // it has made none
		case err != nil || size > 0:
			return err
		}
		return c.Remove(ctx, r.path)
	})
	if err != nil && control.Ended(ctx) == nil {
		c.options.Logger.Warn("an upload without data connection may have left an empty file", "address", c.address, "path", r.path, "error", err)
	}
}

// takeBackPatience bounds takeBack, with a new control connection in it.
const takeBackPatience = 10 * time.Second

// leftEmpty reports whether an upload whose begin ended with err may have made a file: not if the
// command itself was refused.
func (t *Transfer) leftEmpty(err error) bool {
	var e *Error
	return t.call != nil && (t.unopened != nil || !errors.As(err, &e) || e.Code == 0 || noConnection(e.Code))
}
