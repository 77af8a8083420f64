package manual

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// GetTo writes what is in a file on the server to w. What was written cannot be taken back: only without an error it is the whole file.
func (s *Server) GetTo(ctx context.Context, source string, w io.Writer, o Options) Result {
	began := time.Now()
	r := Result{From: source, To: "-", Size: -1}
	r.Err = s.with(ctx, func(conn *ftpclient.Conn) error {
		r.From = conn.Absolute(source)
		size, sizeErr := conn.Size(ctx, r.From)
		if sizeErr == nil {
			r.Size = size
		} else if !conn.Usable() || work.IsAbsent(sizeErr) {
			return sizeErr
		}
		transfer, err := conn.Retrieve(ctx, r.From, 0)
		if err != nil {
			return err
		}
		defer o.begin(path.Base(r.From), r.Size, transfer)()
		_, _ = transfer.WriteTo(w) // Finish tells
		result, err := transfer.Finish(ctx)
		r.Moved = result.Bytes
		if err == nil && r.Size >= 0 && r.Moved != r.Size {
			err = fmt.Errorf("%d bytes came, and the server told of %d", r.Moved, r.Size)
		}
		if r.Verified = "size"; r.Size < 0 {
			r.Verified = "final reply"
		}
		return err
	})
	r.Took = time.Since(began)
	return r
}

func (o Options) begin(name string, size int64, transfer *ftpclient.Transfer) (end func()) {
	if o.Begin == nil {
		return func() {}
	}
	return o.Begin(name, size, work.LiveOf(transfer, size))
}

// with is on for what cannot be begun anew.
func (s *Server) with(ctx context.Context, do func(*ftpclient.Conn) error) error {
	conn, err := s.Pool.Get(ctx)
	if err != nil {
		return err
	}
	defer s.Pool.Put(conn)
	return do(conn)
}

// PutFrom writes all of source into the file dest on the server, under a temporary name until it is complete.
func (s *Server) PutFrom(ctx context.Context, source io.Reader, dest string, o Options) Result {
	began := time.Now()
	up := &upstream{options: o, Result: Result{From: "-", To: dest, Size: -1}}
	up.Err = s.with(ctx, func(conn *ftpclient.Conn) error { return up.put(ctx, conn, source) })
	if up.Err != nil && up.temp != "" {
		up.Left = up.temp
		if !up.only && !o.Direct && s.remove(ctx, up.temp) == nil {
			up.Left = ""
		}
	}
	if ctx.Err() != nil && up.Err != nil {
		up.Err = errors.Join(context.Canceled, up.Err)
	}
	up.Took = time.Since(began)
	return up.Result
}

// upstream is an upload of what cannot be read twice.
type upstream struct {
	options Options
	temp    string // absolute, "" before there is one
	only    bool   // the old file is gone, and the temporary one may be all there is
	Result
}

func (u *upstream) put(ctx context.Context, conn *ftpclient.Conn, source io.Reader) error {
	u.To = conn.Absolute(u.To)
	if _, err := free(ctx, conn, u.To, u.options.Force); err != nil && !(u.options.Direct && refuses(conn, err)) {
		return err
	}
	start := startStream
	if u.options.Direct {
		start = startDirect
	}
	transfer, temp, err := start(ctx, conn, u.To)
	if err != nil {
		return err
	}
	u.temp = temp
	end := u.options.begin(path.Base(u.To), -1, transfer)
	_, _ = transfer.ReadFrom(source) // Finish tells
	result, err := transfer.Finish(ctx)
	end()
	u.Moved, u.Size, u.Verified = result.Bytes, result.Bytes, "size"
	if err == nil {
		if err = conn.VerifySize(ctx, temp, result.Bytes); u.options.Direct && result.Confirmed && refuses(conn, err) {
			u.Verified, err = "final reply", nil // all that there is to be had
		}
	}
	if err != nil || u.options.Direct {
		return err
	}
	occupied, err := free(ctx, conn, u.To, u.options.Force) // the last look is long ago
	if err != nil {
		return err
	}
	return u.rename(ctx, conn, occupied)
}

// rename gives the file its final name. Where the server does not replace files, the old one goes first.
func (u *upstream) rename(ctx context.Context, conn *ftpclient.Conn, occupied bool) error {
	err := conn.Rename(ctx, u.temp, u.To)
	if err == nil || !occupied || !conn.Usable() || ctx.Err() != nil {
		return err
	}
	var refusal *ftpclient.Error
	if !errors.As(err, &refusal) || refusal.Path != u.To {
		return err
	}
	u.only = true
	if removeErr := conn.Remove(ctx, u.To); removeErr != nil {
		u.only = !conn.Usable()
		return errors.Join(err, removeErr)
	}
	return conn.Rename(ctx, u.temp, u.To)
}

// remove removes a temporary file, also when ctx has ended.
func (s *Server) remove(ctx context.Context, temp string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	err := s.with(ctx, func(conn *ftpclient.Conn) error { return conn.Remove(ctx, temp) })
	if work.IsAbsent(err) {
		return nil
	}
	return err
}

// free reports whether a file is in the way of one that is to be called p; the error is that it must stay.
func free(ctx context.Context, conn *ftpclient.Conn, p string, force bool) (occupied bool, err error) {
	is, err := conn.Stat(ctx, p)
	switch {
	case work.IsAbsent(err):
		return false, nil
	case err != nil:
		return false, err
	case is.Type == list.Dir:
		return true, ErrInTheWay
	case !force:
		return true, ErrExists
	}
	return true, nil
}

// startDirect begins an upload under the final name.
func startDirect(ctx context.Context, conn *ftpclient.Conn, p string) (transfer *ftpclient.Transfer, temp string, err error) {
	transfer, err = conn.Store(ctx, p, 0)
	if err != nil && conn.Usable() && ctx.Err() == nil && conn.MakeDirs(ctx, path.Dir(p)) == nil {
		transfer, err = conn.Store(ctx, p, 0)
	}
	return transfer, p, err
}

// startStream begins an upload under a temporary name, whose folder is made.
func startStream(ctx context.Context, conn *ftpclient.Conn, p string) (transfer *ftpclient.Transfer, temp string, err error) {
	if err := conn.KeepsName(ctx, path.Dir(p), path.Base(p)); err != nil {
		return nil, "", err
	}
	var key [12]byte
	rand.Read(key[:])
	name := scan.TempName(path.Base(p), hex.EncodeToString(key[:4]), binary.BigEndian.Uint64(key[4:]), 1)
	temp = path.Join(path.Dir(p), name)
	transfer, err = conn.Store(ctx, temp, 0)
	if err == nil || !conn.Usable() || ctx.Err() != nil {
		return transfer, temp, err
	}
	if dirErr := conn.MakeDirs(ctx, path.Dir(p)); dirErr != nil {
		return nil, "", err
	}
	if transfer, err = conn.Store(ctx, temp, 0); err == nil || !conn.Usable() || ctx.Err() != nil {
		return transfer, temp, err
	}
	plain := path.Join(path.Dir(p), scan.WithoutDot(name)) // there are servers that refuse leading dots
	if second, plainErr := conn.Store(ctx, plain, 0); plainErr == nil {
		return second, plain, nil
	}
	return nil, "", err
}
