package work

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

// unwanted is why these jobs are broken off.
type unwanted struct{}

func (unwanted) Error() string { return "unwanted" }
func (unwanted) Unwrap() error { return ftpclient.ErrInterrupted }

// dropping carries out one attempt at an operation on a.txt that a step may drop.
type dropping struct {
	t         *testing.T
	sync      Sync
	claims    int
	dropped   bool // the job is not tried again
	interrupt context.CancelCauseFunc
	ctx       context.Context
}

func newDropping(t *testing.T, local string) *dropping {
	d := &dropping{
		t: t, claims: 1, dropped: true,
		sync: Sync{Name: "s", Local: local, Remote: "/site", Rules: plan.Rules{Direction: plan.Up, Delete: true}, Upload: Upload{TempPrefix: "."}},
	}
	d.ctx, d.interrupt = Interruptible(t.Context())
	return d
}

// drops is a step at which the job is dropped.
func (d *dropping) drops() step { return step{Call: func() { d.interrupt(unwanted{}) }} }

// do has a server that does these steps behind the login; what is behind another login is another connection.
func (d *dropping) do(op plan.Op, steps ...step) Outcome {
	d.t.Helper()
	server := ftptest.NewScript(d.t, slices.Concat(login, steps)...)
	var conn *ftpclient.Conn
	env := Env{
		Sync: d.sync, State: noState{}, Instance: instance, Logger: slog.New(slog.NewTextHandler(d.t.Output(), nil)), Dropped: func() bool { return d.dropped },
		Connect: func(ctx context.Context) (_ *ftpclient.Conn, err error) {
			if conn != nil && conn.Usable() {
				return conn, nil
			}
			if conn != nil {
				conn.Close()
			}
			conn, err = ftpclient.Dial(ctx, server.Addr, ftpclient.Options{User: "u", TLS: ftpclient.TLSNone})
			return conn, err
		},
	}
	payload, err := json.Marshal(op)
	if err != nil {
		d.t.Fatal(err)
	}
	outcome := Do(d.ctx, env, queue.Job{ID: 7, New: queue.New{Kind: string(op.Action), Sync: "s", Path: op.Path, Payload: payload}, Claims: d.claims})
	if conn != nil {
		conn.Close()
	}
	server.Wait()
	return outcome
}

var bye = step{Expect: "QUIT", Send: "221 Bye."}

// removesTemps are the commands that remove what so many attempts may have left, the newest first.
func removesTemps(attempts ...string) (steps []step) {
	for _, attempt := range attempts {
		for _, name := range []string{".a.txt", "a.txt"} {
			steps = append(steps, step{Expect: "DELE /site/" + name + ".ftpferry-0badcafe-7." + attempt, Send: "250 Gone."})
		}
	}
	return steps
}

// TestAnUploadThatIsDropped: its temporary file goes, by the same connection as far as the server keeps that in step, and what is complete by
// then stays and counts.
func TestAnUploadThatIsDropped(t *testing.T) {
	t.Parallel()
	const hidden, final = "/site/" + temp, "/site/a.txt"
	text := strings.Repeat("x", 100)
	begun := slices.Concat(absent(final), []step{{Expect: "EPSV", Passive: true}, {Expect: "STOR " + hidden, Send: "150 Go on.", Data: &ftptest.Data{Receive: 100}}})
	abort := step{Expect: "ABOR", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}
	marker := step{Expect: "NOOP", Send: "200 Here."}
	stored := slices.Concat(absent(final), stores(hidden, text))
	for sentence, row := range map[string]struct {
		set    func(d *dropping)
		script func(d *dropping) []step
		done   bool
	}{
		"in the middle, and 426 comes before 226": {script: func(d *dropping) []step {
			return slices.Concat(begun, []step{d.drops(), abort, {Send: "426 Cut.\n226 Aborted."}, marker}, removesTemps("1"), []step{bye})
		}},
		"in the middle, and the server calls it complete": {script: func(d *dropping) []step {
			return slices.Concat(begun, []step{d.drops(), abort, {Send: "226 Done.\n225 Nothing to abort."}, marker}, removesTemps("1"), []step{bye})
		}},
		"in the middle, and there is one answer": {script: func(d *dropping) []step {
			return slices.Concat(begun, []step{d.drops(), abort, {Send: "225 Aborted."}, marker}, removesTemps("1"), []step{bye})
		}},
		"in the middle, and the server does not answer: by another connection": {script: func(d *dropping) []step {
			return slices.Concat(begun, []step{d.drops(), abort, {Expect: "NOOP", End: ftptest.Close}}, login, removesTemps("1"), []step{bye})
		}},
		"in the middle, and the file stays: a full scan finds it": {script: func(d *dropping) []step {
			steps := removesTemps("1")
			steps[0].Send = "550 Busy."
			return slices.Concat(begun, []step{d.drops(), abort, {Send: "426 Cut.\n226 Aborted."}, marker}, steps, []step{bye})
		}},
		"before it has begun": {script: func(d *dropping) []step {
			return slices.Concat([]step{{Expect: "SIZE " + final}, d.drops(), {Send: "550 No such file."}}, removesTemps("1"), []step{bye})
		}},
		"in a third attempt: with what those before have left": {set: func(d *dropping) { d.claims = 3 }, script: func(d *dropping) []step {
			return slices.Concat(removesTemps("2", "1"), []step{{Expect: "SIZE " + final}, d.drops(), {Send: "550 No such file."}}, removesTemps("3", "2", "1"), []step{bye})
		}},
		"when all is there: it is done": {done: true, script: func(d *dropping) []step {
			return slices.Concat(stored, sized(hidden, 100), []step{{Expect: "MFMT " + stamp + " " + hidden}, d.drops(), {Send: "213 Modified."},
				{Expect: "MDTM " + hidden, Send: "213 " + stamp}}, renames(hidden, final), has(final, 100), []step{bye})
		}},
		"at its rename: it is done": {done: true, script: func(d *dropping) []step {
			return slices.Concat(stored, sized(hidden, 100), setsTime(hidden), []step{{Expect: "RNFR " + hidden, Send: "350 And?"},
				{Expect: "RNTO " + final}, d.drops(), {Send: "250 Renamed."}}, has(final, 100), []step{bye})
		}},
		"when the new file is the only one on the server: that stays": {script: func(d *dropping) []step {
			return slices.Concat(stored, sized(hidden, 100), setsTime(hidden), []step{
				{Expect: "RNFR " + hidden, Send: "350 And?"}, {Expect: "RNTO " + final}, d.drops(), {Send: "550 File exists."},
			}, has(final, 3), []step{{Expect: "DELE " + final, Send: "250 Gone."}, {Expect: "RNFR " + hidden, Send: "350 And?"}, {Expect: "RNTO " + final, Send: "550 Still no."}, bye})
		}},
		"in the middle of the final file: no half one is left": {set: func(d *dropping) { d.sync.Direct = true }, script: func(d *dropping) []step {
			direct := slices.Clone(begun)
			direct[len(direct)-1].Expect = "STOR " + final
			return slices.Concat(direct, []step{d.drops(), abort, {Send: "426 Cut.\n226 Aborted."}, marker, {Expect: "DELE " + final, Send: "250 Gone."}, bye})
		}},
		"before the final file is written: that is nobody's business": {set: func(d *dropping) { d.sync.Direct = true }, script: func(d *dropping) []step {
			return []step{{Expect: "SIZE " + final}, d.drops(), {Send: "550 No such file."}, bye}
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			local, look := source(t, text)
			d := newDropping(t, local)
			if row.set != nil {
				row.set(d)
			}
			o := d.do(upload7(look), row.script(d)...)
			if row.done != (o.Result == Done) || row.done != (o.Base != nil) {
				t.Errorf("%s: %+v", o.Result, o)
			}
		})
	}
}

// TestADownloadThatIsDropped leaves nothing here, however much has come.
func TestADownloadThatIsDropped(t *testing.T) {
	t.Parallel()
	const from, size = "/site/a.txt", 4 << 20
	local := t.TempDir()
	d := newDropping(t, local)
	d.sync.Rules.Direction, d.sync.Upload = plan.Down, Upload{}
	o := d.do(plan.Op{
		Action: plan.Download, Path: "a.txt", Local: plan.Side{Knowledge: plan.Seen},
		Remote: plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: size, ModTime: stamped, Precision: time.Second}},
	}, slices.Concat(has(from, size), []step{
		{Expect: "EPSV", Passive: true}, {Expect: "RETR " + from, Send: "150 Here it comes.", Data: &ftptest.Data{Send: strings.Repeat("x", 1<<20)}}, d.drops(),
		{Expect: "ABOR", Data: &ftptest.Data{End: ftptest.Close}}, {Send: "426 Cut.\n226 Aborted."}, {Expect: "NOOP", Send: "200 Here."}, bye,
	})...)
	if o.Result != Failed || !errors.Is(o.Err, unwanted{}) {
		t.Errorf("%s: %+v", o.Result, o)
	}
	holds(t, local, nil)
}

// TestAClaimedFileWhoseDownloadIsDropped has its own name again.
func TestAClaimedFileWhoseDownloadIsDropped(t *testing.T) {
	content := strings.Repeat("x", 4<<20)
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		host, _, err := net.SplitHostPort(b.server.Addr)
		if err != nil {
			t.Fatal(err)
		}
		b.offer("a.txt", content)
		b.sync.Rules.Direction, b.sync.Claim, b.dropped = plan.Down, true, true
		op := b.planned(plan.Download, "a.txt")
		through := &line{t: t, host: host, carries: 1 << 20, full: make(chan struct{}, 10)}
		b.goThrough(through)
		ctx, interrupt := Interruptible(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			<-through.full
			interrupt(unwanted{})
		}()
		if o := b.download(ctx, op, 1); o.Result != Failed || !errors.Is(o.Err, unwanted{}) {
			t.Errorf("%s: %+v", o.Result, o)
		}
		<-ended
		through.cut()
		b.goThrough(nil)
		if renamed := b.said("RNTO"); len(renamed) != 2 {
			t.Errorf("renamed: %q", renamed)
		}
		holds(t, b.local, nil)
		holds(t, b.remote, map[string]string{"a.txt": content})
	}, "vsftpd", "pyftpdlib")
}

// TestAJobThatIsOnlyBrokenOffKeepsItsPart, to go on with it.
func TestAJobThatIsOnlyBrokenOffKeepsItsPart(t *testing.T) {
	t.Parallel()
	const from, size = "/site/a.txt", 4 << 20
	local := t.TempDir()
	d := newDropping(t, local)
	d.dropped, d.sync.Rules.Direction, d.sync.Upload = false, plan.Down, Upload{}
	d.do(plan.Op{
		Action: plan.Download, Path: "a.txt", Local: plan.Side{Knowledge: plan.Seen},
		Remote: plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: size, ModTime: stamped, Precision: time.Second}},
	}, slices.Concat(has(from, size), []step{
		{Expect: "EPSV", Passive: true}, {Expect: "RETR " + from, Send: "150 Here it comes.", Data: &ftptest.Data{Send: strings.Repeat("x", 1<<20)}}, d.drops(),
		{Expect: "ABOR", Data: &ftptest.Data{End: ftptest.Close}}, {Send: "426 Cut.\n226 Aborted."}, {Expect: "NOOP", Send: "200 Here."}, bye,
	})...)
	if _, err := os.Stat(filepath.Join(local, temp)); err != nil {
		t.Error(err)
	}
}

// TestWhatCanBeInterrupted and what has to end by itself, as it cannot be taken back.
func TestWhatCanBeInterrupted(t *testing.T) {
	t.Parallel()
	var can []string
	for kind := range kinds {
		if CanBeInterrupted(kind) {
			can = append(can, kind)
		}
	}
	slices.Sort(can)
	if want := []string{"download", "look", "purge_local", "purge_remote", "rescan", "scan", "upload", "verify"}; !slices.Equal(can, want) {
		t.Errorf("%q", can)
	}
}
