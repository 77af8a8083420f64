package work

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// agreedState is a state with a baseline.
type agreedState struct {
	noState
	rows []state.BaselineRow
}

func (s *agreedState) After(place []byte, limit int) (rows []state.BaselineRow, err error) {
	for _, row := range s.rows {
		if string(row.Place) > string(place) && len(rows) < min(limit, 2) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (s *agreedState) At(rel string) (*state.Baseline, error) {
	for _, row := range s.rows {
		if row.Path == rel {
			return &row.Baseline, nil
		}
	}
	return nil, nil
}

// agree puts files on both sides and writes down that they are in step. They go in the order given.
func (b *bench) agree(s *agreedState, content string, names ...string) {
	b.t.Helper()
	conn, err := b.connect(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	remote := scan.Remote{Conn: conn, Root: conn.Absolute(b.sync.Remote)}
	for _, name := range names {
		b.write(name, content)
		b.place(name, content, 0o644)
		if err := os.Chtimes(filepath.Join(b.remote, name), stamped, stamped); err != nil {
			b.t.Fatal(err)
		}
		info, err := os.Lstat(filepath.Join(b.local, name))
		if err != nil {
			b.t.Fatal(err)
		}
		there, err := remote.Stat(b.t.Context(), name)
		if err != nil {
			b.t.Fatal(err)
		}
		s.rows = append(s.rows, state.BaselineRow{Baseline: state.Baseline{Path: name, Local: scan.LocalEntry(info), Remote: there, When: stamped}, Place: []byte(name + "\x00")})
	}
}

// damage writes other content of the same size over what is there, and gives it the same time.
func damage(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, stamped, stamped); err != nil {
		t.Fatal(err)
	}
}

// verify runs a job until all is compared or it fails, handing over each piece. goOn says whether a run may go on after that.
func (b *bench) verify(s State, job *queue.Job, goOn bool) (found []Finding, last Outcome) {
	b.t.Helper()
	b.mu.Lock()
	b.commands = nil
	b.mu.Unlock()
	e := Env{
		Sync: b.sync, State: s, Connect: b.connect, Logger: slog.New(slog.NewTextHandler(b.t.Output(), nil)), Room: 1,
	}
	save := func(part Outcome) {
		found = append(found, part.Compared.Findings...)
		var err error
		if job.Progress, err = json.Marshal(part.Compared.Progress); err != nil {
			b.t.Fatal(err)
		}
	}
	e.Flush = func(_ context.Context, part Outcome) (int, error) {
		save(part)
		if goOn {
			return 1, nil
		}
		return 0, nil
	}
	for range 10_000 {
		last = verifyEvery(b.t.Context(), e, *job, time.Nanosecond)
		if last.Err != nil {
			return found, last
		}
		if save(last); last.Compared.All {
			return found, last
		}
	}
	b.t.Fatal("it does not end")
	return nil, last
}

func kindsOf(found []Finding) map[string]FindingKind {
	kinds := map[string]FindingKind{}
	for _, f := range found {
		kinds[f.Path] = f.Kind
	}
	return kinds
}

func TestVerifyJob(t *testing.T) {
	both := func(t *testing.T, b *bench, how string) {
		s := &agreedState{}
		b.agree(s, "content", "changed here", "changed there", "damaged here", "damaged there", "gone here", "gone there", "same", "touched there", "unreadable there")
		b.agree(s, "", "with nothing in it")
		b.write("changed here", "more content")
		damage(t, filepath.Join(b.local, "damaged here"), "c0ntent")
		damage(t, filepath.Join(b.remote, "damaged there"), "c0ntent")
		b.place("changed there", "c0ntent", 0o644)
		if err := os.Remove(filepath.Join(b.local, "gone here")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(b.remote, "gone there")); err != nil {
			t.Fatal(err)
		}
		b.place("touched there", "content", 0o644)
		if err := os.Chmod(filepath.Join(b.remote, "unreadable there"), 0); err != nil {
			t.Fatal(err)
		}
		for _, goOn := range []bool{true, false} {
			found, last := b.verify(s, &queue.Job{ID: 7}, goOn)
			want := map[string]FindingKind{
				"changed here": FoundChanged, "changed there": FoundChanged, "gone here": FoundChanged, "gone there": FoundChanged,
				"damaged here": FoundDifferent, "damaged there": FoundDifferent, "unreadable there": FoundUnreadable,
			}
			if diff := cmp.Diff(want, kindsOf(found)); diff != "" || len(found) != len(want) {
				t.Errorf("%s\n%+v, %v", diff, found, last.Err)
			}
			if want := how + "2 differ, 1 could not be compared, 4 have changed since they were in step"; last.Reason != want {
				t.Errorf("got %q, want %q", last.Reason, want)
			}
			for _, f := range found {
				if f.Kind == FoundDifferent && !strings.Contains(f.Text, "(compared by ") {
					t.Errorf("%q", f.Text)
				}
			}
		}
		if said := b.said("STOR"); len(said) > 0 {
			t.Error(said)
		}
	}
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) { both(t, b, "5 files compared: 0 by hash, 5 by reading them back; ") }, "vsftpd", "pure-ftpd")
}

func TestVerifyJobByHash(t *testing.T) {
	onEach(t, ftptest.RealOptions{Modules: []string{"digest"}}, func(t *testing.T, b *bench) {
		s := &agreedState{}
		b.agree(s, "content", "a", "b")
		b.stored(s, "b", "content")
		damage(t, filepath.Join(b.remote, "b"), "c0ntent")
		if err := os.Chtimes(filepath.Join(b.remote, "b"), time.Time{}, s.rows[1].Remote.ModTime); err != nil {
			t.Fatal(err)
		}
		found, last := b.verify(s, &queue.Job{ID: 7}, true)
		if diff := cmp.Diff(map[string]FindingKind{"b": FoundDifferent}, kindsOf(found)); diff != "" {
			t.Errorf("%s\n%+v", diff, last)
		}
		if last.Reason != "2 files compared: 2 by hash, 0 by reading them back; 1 differ" || len(b.said("RETR")) > 0 {
			t.Error(last.Reason)
		}
	}, "proftpd")
}

// stored sends a file that is in step once more, by the connection that there is: the server remembers its hashes for the session.
func (b *bench) stored(s *agreedState, name, content string) {
	b.t.Helper()
	p := b.sync.Remote + "/" + name
	full := filepath.Join(b.remote, name)
	if err := os.Remove(full); err != nil {
		b.t.Fatal(err)
	}
	transfer, err := b.conn.Store(b.t.Context(), p, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := transfer.Write([]byte(content)); err != nil {
		b.t.Fatal(err)
	}
	if _, err := transfer.Finish(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.conn.Hash(b.t.Context(), p, b.conn.Hashes()[0]); err != nil {
		b.t.Fatal(err)
	}
	row := &s.rows[slices.IndexFunc(s.rows, func(row state.BaselineRow) bool { return row.Path == name })]
	remote := scan.Remote{Conn: b.conn, Root: b.conn.Absolute(b.sync.Remote)}
	if row.Remote, err = remote.Stat(b.t.Context(), name); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(full, 0o666); err != nil {
		b.t.Fatal(err)
	}
}

// TestVerifyMakesWayInTheMiddle: a large file is gone on with where it was left.
func TestVerifyMakesWayInTheMiddle(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		text := noise(3<<20, 1)
		s := &agreedState{}
		b.agree(s, text, "big")
		found, last := b.verify(s, &queue.Job{ID: 7}, false)
		if len(found) > 0 || last.Compared.Progress.Reread != 1 {
			t.Errorf("%+v, %+v", found, last)
		}
		if transfers := b.transfers(); transfers < 2 {
			t.Errorf("in %d pieces", transfers)
		}
		damage(t, filepath.Join(b.remote, "big"), text[:len(text)-1]+"!")
		found, last = b.verify(s, &queue.Job{ID: 7}, false)
		if diff := cmp.Diff(map[string]FindingKind{"big": FoundDifferent}, kindsOf(found)); diff != "" || last.Compared.Progress.Reread != 1 {
			t.Errorf("%s\n%+v", diff, last)
		}
	}, "vsftpd", "pyftpdlib")
}

// transfers is how many downloads the last job has begun in the middle of its file, and at its beginning.
func (b *bench) transfers() int { return len(b.said("RETR")) }

func TestWhatChangesWhileItIsCompared(t *testing.T) {
	for what, change := range map[string]func(b *bench){
		"here":  func(b *bench) { os.WriteFile(filepath.Join(b.local, "f"), []byte(noise(1<<20, 2)), 0o666) },
		"there": func(b *bench) { os.WriteFile(filepath.Join(b.remote, "f"), []byte(noise(1<<20, 2)), 0o644) },
		"in the baseline": func(b *bench) {
			os.WriteFile(filepath.Join(b.remote, "f"), []byte(noise(1<<20, 2)), 0o644)
			os.Chtimes(filepath.Join(b.remote, "f"), stamped, stamped)
		},
	} {
		t.Run(what, func(t *testing.T) {
			onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
				s := &agreedState{}
				b.agree(s, noise(1<<20, 1), "f")
				b.hear = func(command string) {
					if strings.HasPrefix(command, "RETR") {
						change(b)
						s.rows[0].When = map[bool]time.Time{true: stamped.Add(1), false: stamped}[what == "in the baseline"]
					}
				}
				found, last := b.verify(s, &queue.Job{ID: 7}, true)
				if diff := cmp.Diff(map[string]FindingKind{"f": FoundChanged}, kindsOf(found)); diff != "" || last.Err != nil {
					t.Errorf("%s\n%+v\n%+v", diff, last, found)
				}
			}, "vsftpd")
		})
	}
}

// TestVerifyPassesOverWhatBreaksTheConnection again and again, after some tries.
func TestVerifyPassesOverWhatBreaksTheConnection(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		s := &agreedState{}
		b.agree(s, "content", "a", "bad", "c")
		job := &queue.Job{ID: 7}
		b.hear = func(command string) {
			if strings.HasPrefix(command, "RETR") && strings.HasSuffix(command, "bad") {
				b.conn.Close()
			}
		}
		for try := range mostCuts - 1 {
			if _, last := b.verify(s, job, true); last.Err == nil {
				t.Fatalf("try %d: %+v", try, last)
			}
		}
		found, last := b.verify(s, job, true)
		if diff := cmp.Diff(map[string]FindingKind{"bad": FoundUnreadable}, kindsOf(found)); diff != "" || last.Err != nil {
			t.Errorf("%s\n%+v", diff, last)
		}
		if last.Reason != "2 files compared: 0 by hash, 2 by reading them back; 0 differ, 1 could not be compared" {
			t.Error(last.Reason)
		}
	}, "vsftpd")
}

// TestVerifyOfAFileThatGrows compares what was sent of it, whatever was added here since.
func TestVerifyOfAFileThatGrows(t *testing.T) {
	for server, options := range map[string]ftptest.RealOptions{"vsftpd": {}, "proftpd": {Modules: []string{"digest"}}} {
		t.Run(server, func(t *testing.T) {
			onEach(t, options, func(t *testing.T, b *bench) {
				s := &agreedState{}
				b.sync.Appends = func(string) bool { return true }
				b.agree(s, "one\ntwo\n", "cut", "log", "same")
				for name, content := range map[string]string{"log": "one\ntwo\nthree\n", "cut": "one\n"} {
					file, err := os.OpenFile(filepath.Join(b.local, name), os.O_WRONLY|os.O_TRUNC, 0)
					if err == nil {
						_, err = file.WriteString(content)
					}
					if err != nil {
						t.Fatal(err)
					}
					file.Close()
				}
				found, last := b.verify(s, &queue.Job{ID: 7}, true)
				if diff := cmp.Diff(map[string]FindingKind{"cut": FoundChanged}, kindsOf(found)); diff != "" || last.Err != nil {
					t.Errorf("%s\n%+v\n%+v", diff, last, found)
				}
				if p := last.Compared.Progress; p.Hashed+p.Reread != 2 || p.Differ != 0 {
					t.Errorf("compared %+v", p)
				}
				damage(t, filepath.Join(b.remote, "log"), "one\ntwX\n")
				found, last = b.verify(s, &queue.Job{ID: 7}, true)
				if diff := cmp.Diff(map[string]FindingKind{"cut": FoundChanged, "log": FoundDifferent}, kindsOf(found)); diff != "" || last.Err != nil {
					t.Errorf("what was sent is another: %s\n%+v\n%+v", diff, last, found)
				}
			}, server)
		})
	}
}

// TestVerifyOfWhatCannotBeReadHere says so, and goes on with the others.
func TestVerifyOfWhatCannotBeReadHere(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		s := &agreedState{}
		for _, side := range []string{b.local, b.remote} {
			if err := os.MkdirAll(filepath.Join(side, "d"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		b.agree(s, "content", "a", "d/f", "z")
		outside := t.TempDir()
		if err := os.Rename(filepath.Join(b.local, "d"), filepath.Join(outside, "d")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(outside, "d"), filepath.Join(b.local, "d")); err != nil {
			t.Fatal(err)
		}
		found, last := b.verify(s, &queue.Job{ID: 7}, true)
		if diff := cmp.Diff(map[string]FindingKind{"d/f": FoundUnreadable}, kindsOf(found)); diff != "" || last.Err != nil {
			t.Fatalf("%s\n%+v\n%+v", diff, last, found)
		}
		if !strings.HasPrefix(found[0].Text, "could not be compared, as the local file could not be ") {
			t.Error(found[0].Text)
		}
		if last.Reason != "2 files compared: 0 by hash, 2 by reading them back; 0 differ, 1 could not be compared" {
			t.Error(last.Reason)
		}
	}, "vsftpd")
}
