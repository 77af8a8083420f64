package manual

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Options say how files are copied.
type Options struct {
	// Recursive copies folders with all that is in them, but for links.
	Recursive bool
	// Force replaces files that differ.
	Force bool
	// Resume goes on with what a broken-off copy of the same file has left, and leaves such a part itself.
	Resume bool
	// Direct writes to the final name at once, for servers that rename nothing, and puts up with those that show nobody what they
	// have. What breaks leaves a part there. It is for Put and PutFrom, and not for Resume.
	Direct bool
	// Verify compares hashes where the server computes them, and not sizes alone.
	Verify bool
	// Begin, if not nil, is told of each file when its transfer is about to begin, and end is called when it is over. It may be
	// called by several goroutines at a time.
	Begin func(name string, size int64, live *Live) (end func())
	// Report is told what came of each file, by one goroutine at a time.
	Report func(Result)
}

// Result is what came of one file. Paths are as the side calls them that they are on; the one of stdin and stdout is "-".
type Result struct {
	From, To string
	// Size is that of the file in bytes, -1 if it is not known, Moved how many of them went over the line now.
	Size, Moved int64
	Took        time.Duration
	// Already: it was there already, and nothing was copied.
	Already bool
	// Verified says how it was made sure that all of it has arrived, Remark what else is to be said.
	Verified, Remark string
	// Skipped says why it is none that is copied, "" if it is.
	Skipped string
	// Err is why it was not copied, and Left what a broken-off transfer has left: the name of a temporary file. Resumable: it can be
	// gone on with.
	Err       error
	Left      string
	Resumable bool
}

// task is one file to copy. The paths are of folders and, relative to these, of the file.
type task struct {
	action      plan.Action
	local, rel  string // the folder here, and the path of the file below it
	remote, far string // the same on the server, absolute
}

func (t task) here() string  { return filepath.Join(t.local, filepath.FromSlash(t.rel)) }
func (t task) there() string { return path.Join(t.remote, t.far) }

// result is one about the task.
func (t task) result(err error) Result {
	if t.action == plan.Upload {
		return Result{From: t.here(), To: t.there(), Size: -1, Err: err}
	}
	return Result{From: t.there(), To: t.here(), Size: -1, Err: err}
}

// copier copies files on several connections.
type copier struct {
	*Server
	Options
	mutex sync.Mutex // guards Report
}

func (c *copier) tell(r Result) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.Report(r)
}

// run copies what find comes up with, until all is done or what goes wrong is wrong with all of it. All errors are told to Report.
func (c *copier) run(ctx context.Context, find func(context.Context, func(task) error) error) {
	group, ctx := errgroup.WithContext(ctx)
	tasks := make(chan task)
	group.Go(func() error {
		defer close(tasks)
		return find(ctx, func(t task) error {
			select {
			case tasks <- t:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	})
	for range max(c.Connections, 1) {
		group.Go(func() error {
			b := &borrower{pool: c.Pool}
			defer b.release()
			for {
				t, more := next(tasks, b)
				if !more {
					return nil
				}
				r := c.copy(ctx, b, t)
				c.tell(r)
				if ends(r.Err) {
					return r.Err
				}
			}
		})
	}
	_ = group.Wait() // what it was is told
}

// next waits for a task, without a connection, which the search for further ones may need.
func next(tasks <-chan task, b *borrower) (t task, more bool) {
	select {
	case t, more = <-tasks:
	default:
		b.release()
		t, more = <-tasks
	}
	return t, more
}

// copy copies one file.
func (c *copier) copy(ctx context.Context, b *borrower, t task) Result {
	began := time.Now()
	var r Result
	for try := 1; ; try++ {
		var again bool
		r, again = c.attempt(ctx, b, t)
		if !again || try == tries || ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil && r.Err != nil {
		r.Err = errors.Join(context.Canceled, r.Err)
	}
	r.Took = time.Since(began)
	return r
}

// attempt looks at both sides and has the file carried. again: one of the sides has changed meanwhile.
func (c *copier) attempt(ctx context.Context, b *borrower, t task) (r Result, again bool) {
	r = t.result(nil)
	conn, err := b.connect(ctx)
	if err != nil {
		r.Err = err
		return r, false
	}
	here, there, err := look(ctx, conn, t, c.Direct)
	if err != nil {
		r.Err = err
		return r, broken(err)
	}
	op := plan.Op{
		Action: t.action, Path: t.rel,
		Local: plan.Side{Knowledge: plan.Seen, Entry: here}, Remote: plan.Side{Knowledge: plan.Seen, Entry: there},
	}
	source, target := here, &op.Remote
	if t.action == plan.Download {
		source, target = there, &op.Local
	}
	r.Size = source.Size
	there, occupied := target.Entry, target.Entry.Kind != entry.Absent
	switch {
	case source.Kind == entry.Absent:
		r.Err = fmt.Errorf("%s: %w", r.From, os.ErrNotExist)
	case source.Kind != entry.File:
		r.Err = ErrNotFile
	case there.Kind == entry.Dir, t.action == plan.Download && occupied && there.Kind != entry.File:
		r.Err = ErrInTheWay
	case occupied && !c.Force && (there.Kind != entry.File || there.Size >= 0 && there.Size != source.Size):
		r.Err = ErrExists
	}
	if r.Err != nil {
		return r, false
	}
	if occupied && !c.Force {
		target.Entry = entry.Entry{} // so that nothing but the same content is accepted
	}
	outcome := c.carry(ctx, b, t, op, source)
	switch {
	case outcome.Result == work.Stale && occupied && !c.Force:
		r.Err = ErrExists
	case outcome.Result == work.Stale:
		r.Err, again = fmt.Errorf("%w: %s", ErrMoving, outcome.Reason), true
	default:
		r.Err = outcome.Err
	}
	r.Already, r.Moved, r.Verified, r.Remark = outcome.Already, outcome.Bytes, outcome.Verified, outcome.Reason
	if r.Err != nil && outcome.Temp != "" {
		r.Left, r.Resumable = c.leftover(ctx, b, t, outcome.Temp)
	}
	return r, again
}

// look looks at both sides of a task, at a link on the side that it comes from as what is behind it. With direct nothing is where the
// server does not let it look.
func look(ctx context.Context, conn *ftpclient.Conn, t task, direct bool) (here, there entry.Entry, err error) {
	root, err := os.OpenRoot(t.local)
	if err == nil {
		defer root.Close()
		here, err = scan.StatLocal(root, t.rel)
	}
	if err != nil && !(t.action == plan.Download && errors.Is(err, os.ErrNotExist)) {
		return here, there, err
	}
	far := scan.Remote{Conn: conn, Root: t.remote, Follow: t.action == plan.Download}
	there, err = far.Look(ctx, t.there())
	if work.IsAbsent(err) || direct && refuses(conn, err) {
		return here, entry.Entry{}, nil
	}
	return here, there, err
}

// carry has the worker of the agent carry the file, again and again while it is connections that break.
func (c *copier) carry(ctx context.Context, b *borrower, t task, op plan.Op, source entry.Entry) (outcome work.Outcome) {
	env := work.Env{Sync: c.sync(t), Connect: b.connect, State: stateless{source, t.action}, Logger: c.Logger, Live: new(work.Live)}
	job := queue.Job{New: queue.New{Kind: string(op.Action), Sync: c.Name, Path: op.Path, Payload: op.Encode()}, Claims: 1}
	env.Instance, job.ID = c.identity(t, source)
	if c.Resume {
		var err error
		if job.Claims, err = c.takeUp(ctx, b, env, job); err != nil {
			return work.Outcome{Err: err}
		}
	}
	if c.Begin != nil {
		defer c.Begin(path.Base(filepath.ToSlash(t.result(nil).From)), source.Size, env.Live)()
	}
	for try := 1; ; try++ {
		outcome = work.Do(ctx, env, job)
		if outcome.Result != work.Failed || !broken(outcome.Err) || try == tries || ctx.Err() != nil {
			return outcome
		}
		job.Claims++
	}
}

// sync is the one that the task would be of.
func (c *copier) sync(t task) work.Sync {
	s := work.Sync{
		Name: c.Name, Local: t.local, Remote: t.remote, Filter: scan.NewFilter(scan.FilterOptions{}),
		Rules: plan.Rules{Direction: plan.Up}, Verify: work.VerifySize,
	}
	if t.action == plan.Download {
		s.Rules = plan.Rules{Direction: plan.Down, Links: plan.LinksFollow}
	}
	if c.Verify {
		s.Verify = work.VerifyHash
	}
	s.Upload.Direct = c.Direct
	s.Upload.TempPrefix = scan.DefaultTempForm.Prefix
	s.Upload.RemoteName = func(string, time.Time) string { return t.far }
	return s
}

// identity is of which temporary names are made. To be found again by another process, they stand for the file, this version of
// it, and where it goes; otherwise nobody else has them, not even who copies the same at the same time.
func (c *copier) identity(t task, source entry.Entry) (instance string, id queue.ID) {
	var key [12]byte
	if c.Resume {
		here, err := filepath.Abs(t.here())
		if err != nil {
			here = t.here()
		}
		about := strings.Join([]string{string(t.action), c.Name, here, t.there()}, "\x00")
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d %d %d", about, source.Size, source.ModTime.UnixNano(), source.ID))
		copy(key[:], sum[:])
	} else {
		rand.Read(key[:])
	}
	return hex.EncodeToString(key[:4]), queue.ID(binary.BigEndian.Uint64(key[4:]))
}

// takeUp looks for what an earlier process has left of the file, gives it the name of the first attempt, and returns the number of
// the attempt that goes on with it.
func (c *copier) takeUp(ctx context.Context, b *borrower, env work.Env, job queue.Job) (attempt int, err error) {
	temp := func(attempt int) string {
		job.Claims = attempt
		return work.TempPath(env.Sync, env.Instance, job)
	}
	root, err := os.OpenRoot(env.Sync.Local)
	if errors.Is(err, os.ErrNotExist) {
		return 1, nil // it is made for what is downloaded
	}
	if err != nil {
		return 0, err
	}
	defer root.Close()
	for n := tries + 1; n > 0; n-- {
		if job.Kind == string(plan.Download) {
			if _, err := root.Lstat(filepath.FromSlash(temp(n))); err != nil {
				continue
			}
			return 2, root.Rename(filepath.FromSlash(temp(n)), filepath.FromSlash(temp(1)))
		}
		conn, err := b.connect(ctx)
		if err != nil {
			return 0, err
		}
		part, first := path.Join(env.Sync.Remote, temp(n)), path.Join(env.Sync.Remote, temp(1))
		if _, err := conn.Size(ctx, part); err != nil {
			if conn.Usable() {
				continue
			}
			return 0, err
		}
		if n == 1 {
			return 2, nil
		}
		return 2, conn.Rename(ctx, part, first)
	}
	return 1, nil
}

// cleanupLimit is how long may be spent on the temporary file of what was broken off.
const cleanupLimit = 20 * time.Second

// leftover removes the temporary file of a transfer that has failed, unless it is to be gone on with. left is its name if it is
// there still.
func (c *copier) leftover(ctx context.Context, b *borrower, t task, temp string) (left string, resumable bool) {
	if t.action == plan.Download {
		if !c.Resume {
			_ = os.Remove(temp) // Lstat tells
		}
		if _, err := os.Lstat(temp); err != nil {
			return "", false
		}
		return temp, c.Resume
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	conn, err := b.connect(ctx)
	if err != nil {
		return temp, c.Resume
	}
	if !c.Resume {
		if err := conn.Remove(ctx, temp); err == nil || work.IsAbsent(err) {
			return "", false
		}
	}
	if _, err := conn.Size(ctx, temp); err != nil && conn.Usable() {
		return "", false
	}
	return temp, c.Resume
}
