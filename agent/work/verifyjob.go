package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

const (
	// compareAtOnce is how many rows of the baseline are read at a time, and compareFindings how many findings are handed over
	// together.
	compareAtOnce   = 256
	compareFindings = 500
	// compareTime is how often a comparison hands over what it has found, and makes way if it has to.
	compareTime = 15 * time.Second
	// mostCuts is how often in a row the connection may be lost at one byte of one file before the file is passed over.
	mostCuts = 3
)

// Comparison is what a comparison of contents (KindVerify) has found since the last one, and how far it has come.
type Comparison struct {
	Findings []Finding
	Progress VerifyProgress
	// All: nothing is left to be compared.
	All bool
}

// Finding is a path that could not be found to hold the same on both sides.
type Finding struct {
	Path string
	Kind FindingKind
	// Text is the reason, for people, with how it was compared.
	Text string
}

// FindingKind says what was found.
type FindingKind uint8

const (
	// FoundDifferent: the content differs, under the size and time of both sides' last agreement.
	FoundDifferent FindingKind = iota
	// FoundUnreadable: it could not be compared.
	FoundUnreadable
	// FoundChanged: one of the sides is not what it was when both agreed, which is for a look to see to.
	FoundChanged
)

// VerifyProgress is how far a comparison of contents has come. It is kept in the job's row.
type VerifyProgress struct {
	Began time.Time `json:"began"`
	// Place is that in the baseline behind the last file, see state.BaselineAfter, and Middle where the next file is to be gone on
	// with, nil for its beginning.
	Place  []byte  `json:"place,omitempty"`
	Middle *Middle `json:"middle,omitempty"`
	// Hashed and Reread count the files that were compared by a hash of the server and by reading them back, in Bytes; Differ are
	// those of them that differ. Changed and Unreadable could not be compared.
	Hashed     int   `json:"hashed,omitempty"`
	Reread     int   `json:"reread,omitempty"`
	Bytes      int64 `json:"bytes,omitempty"`
	Differ     int   `json:"differ,omitempty"`
	Changed    int   `json:"changed,omitempty"`
	Unreadable int   `json:"unreadable,omitempty"`
}

// Middle is a place in a file up to which both sides are the same.
type Middle struct {
	Path   state.Text `json:"path"`
	Offset int64      `json:"offset,omitempty"`
	// Agreed is when the sides agreed on the version that is being compared.
	Agreed time.Time `json:"agreed,omitzero"`
	// Cuts is how often in a row the connection was lost just there.
	Cuts int `json:"cuts,omitempty"`
	// Whole: the server does not begin in the middle of this file.
	Whole bool `json:"whole,omitempty"`
}

// String sums it up, for people.
func (p VerifyProgress) String() string {
	text := fmt.Sprintf("%d files compared: %d by hash, %d by reading them back; %d differ", p.Hashed+p.Reread, p.Hashed, p.Reread, p.Differ)
	if p.Unreadable > 0 {
		text += fmt.Sprintf(", %d could not be compared", p.Unreadable)
	}
	if p.Changed > 0 {
		text += fmt.Sprintf(", %d have changed since they were in step", p.Changed)
	}
	return text
}

// VerifyProgressOf reads how far a job has come. What nobody can read begins anew.
func VerifyProgressOf(job queue.Job) (p VerifyProgress) {
	if len(job.Progress) > 0 && json.Unmarshal(job.Progress, &p) != nil {
		return VerifyProgress{}
	}
	return p
}

var (
	// errMakeWay ends a run of the job in the middle of a file.
	errMakeWay = errors.New("others are to go on first")
	// errConnect is what stands in the way of a connection; no file is to blame for it.
	errConnect = errors.New("no connection")
)

// comparing is one run of a job of KindVerify.
type comparing struct {
	env      Env
	job      queue.Job
	root     *os.Root
	progress VerifyProgress
	findings []Finding
	began    time.Time // of this run
	// handed is when findings were handed over last, and every how often that is done.
	handed time.Time
	every  time.Duration
}

// verify compares what the files that are in step hold on both sides, and changes nothing on either. The server's hash is compared
// where it computes one, else the file is read back. Whatever has changed by size or time is left to a look.
func verify(ctx context.Context, e Env, job queue.Job) Outcome {
	return verifyEvery(ctx, e, job, compareTime)
}

func verifyEvery(ctx context.Context, e Env, job queue.Job, every time.Duration) Outcome {
	c := &comparing{env: e, job: job, progress: VerifyProgressOf(job), began: time.Now(), handed: time.Now(), every: every}
	if c.progress.Began.IsZero() {
		c.progress.Began = c.began
	}
	if e.Flush != nil && e.Room <= 0 { // no reason to connect
		return c.outcome(false)
	}
	root, err := openLocal(e)
	if err != nil {
		return failed(err)
	}
	defer root.Close()
	c.root = root
	all, err := c.compareAll(ctx)
	if err != nil {
		// What was found so far is not to be found again. If that cannot be written down either, it is.
		if _, lost := c.handOver(ctx); lost != nil {
			err = errors.Join(err, lost)
		}
		return failed(err)
	}
	return c.outcome(all)
}

func (c *comparing) outcome(all bool) Outcome {
	found := &Comparison{Findings: c.findings, Progress: c.progress, All: all}
	return Outcome{Result: Done, Compared: found, Reason: c.progress.String()}
}

// handOver has what was found written down, and reports whether to go on.
func (c *comparing) handOver(ctx context.Context) (goOn bool, err error) {
	c.handed = time.Now()
	if c.env.Flush == nil {
		return true, nil
	}
	room, err := c.env.Flush(ctx, c.outcome(false))
	if err != nil {
		return false, err
	}
	c.findings = nil
	return room > 0, nil
}

func (c *comparing) isTime() bool { return time.Since(c.handed) >= c.every }

// compareAll goes on at the place that was come to, until nothing is left (all) or others are to go on first.
func (c *comparing) compareAll(ctx context.Context) (all bool, err error) {
	for {
		rows, err := c.env.State.After(c.progress.Place, compareAtOnce)
		if err != nil || len(rows) == 0 {
			return err == nil, err
		}
		for _, row := range rows {
			if err := context.Cause(ctx); err != nil {
				return false, err
			}
			if c.takesPart(row.Baseline) {
				if err := c.file(ctx, row.Baseline); errors.Is(err, errMakeWay) {
					return false, nil
				} else if err != nil {
					return false, err
				}
			}
			c.progress.Place, c.progress.Middle = row.Place, nil
			if c.isTime() || len(c.findings) >= compareFindings {
				if goOn, err := c.handOver(ctx); err != nil || !goOn {
					return false, err
				}
			}
		}
	}
}

// takesPart reports whether a row is that of a file that is in step and that the rules do not leave out by now.
func (c *comparing) takesPart(row state.Baseline) bool {
	if row.Bad != "" || row.Left != "" || row.Local.Kind != entry.File || row.Remote.Kind != entry.File || inside(row.Path) != nil {
		return false
	}
	sync := c.env.Sync
	item := plan.Item{
		Path: row.Path, Base: &plan.Base{Local: row.Local, Remote: row.Remote},
		Local: plan.Side{Knowledge: plan.Seen, Entry: row.Local}, Remote: plan.Side{Knowledge: plan.Seen, Entry: row.Remote},
	}
	return sync.Filter.In(scan.NewLocal(c.root, sync.Rules), time.Now()).Overrules(sync.Rules.Direction, item) == ""
}

// file compares one file and notes what it has found. Errors are those of connections, after which the file is gone on with where
// it was left; one at which they break again and again is passed over.
func (c *comparing) file(ctx context.Context, row state.Baseline) error {
	if m := c.progress.Middle; m == nil || string(m.Path) != row.Path || !m.Agreed.Equal(row.When) {
		c.progress.Middle = &Middle{Path: state.Text(row.Path), Agreed: row.When}
	}
	from := *c.progress.Middle
	err := c.compare(ctx, row)
	if errors.Is(err, ftpclient.ErrTicketExpired) { // as in Do, but this file alone
		c.env.Logger.Info("TLS session has expired, the comparison goes on on another connection", "sync", c.env.Sync.Name, "error", err)
		err = c.compare(ctx, row)
	}
	if err == nil || errors.Is(err, errMakeWay) || errors.Is(err, errConnect) || context.Cause(ctx) != nil {
		return err
	}
	if _, noData := errors.AsType[*ftpclient.DataError](err); noData {
		return err
	}
	m := c.progress.Middle
	if m.Cuts++; m.Offset > from.Offset {
		m.Cuts = 1
	}
	if m.Cuts < mostCuts {
		return err
	}
	c.found(row.Path, FoundUnreadable, fmt.Sprintf("could not be compared: the connection was lost %d times at byte %d of it: %v", m.Cuts, m.Offset, err))
	return nil
}

func (c *comparing) found(rel string, kind FindingKind, text string) {
	switch kind {
	case FoundDifferent:
		c.progress.Differ++
	case FoundUnreadable:
		c.progress.Unreadable++
	case FoundChanged:
		c.progress.Changed++
	}
	c.findings = append(c.findings, Finding{Path: rel, Kind: kind, Text: text})
}

// connect returns a connection that was opened since the comparison began, where a hash may be asked for: ProFTPD
// remembers those of what went over a session or was asked for in it (DigestCache), and tells them again without a look at the disk.
func (c *comparing) connect(ctx context.Context) (*ftpclient.Conn, error) {
	for {
		conn, err := c.env.Connect(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errConnect, err)
		}
		// By the clock on the wall, which may have been set, or by that of the machine.
		if opened := conn.Opened(); len(conn.Hashes()) == 0 || !opened.Before(c.progress.Began) || !opened.Before(c.began) {
			return conn, nil
		}
		if err := conn.Close(); err != nil {
			c.env.Logger.Debug("connection not closed in order", "error", err)
		}
	}
}
