package work

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// offer puts a file with a time of whole seconds on the server's disk.
func (b *bench) offer(name, content string) {
	b.t.Helper()
	b.place(name, content, 0o666)
	full := filepath.Join(b.remote, filepath.FromSlash(name))
	if err := os.Chmod(filepath.Dir(full), 0o777); err != nil { // the server may run as another user
		b.t.Fatal(err)
	}
	if err := os.Chtimes(full, stamped, stamped); err != nil {
		b.t.Fatal(err)
	}
}

// far and here are what both sides of a path are now.
func (b *bench) far(name string) plan.Side {
	b.t.Helper()
	conn, err := b.connect(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	found, err := conn.Stat(b.t.Context(), b.sync.Remote+"/"+name)
	if IsAbsent(err) {
		return plan.Side{Knowledge: plan.Seen}
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return plan.Side{Knowledge: plan.Seen, Entry: scan.RemoteEntry(found)}
}

func (b *bench) here(name string) plan.Side {
	b.t.Helper()
	info, err := os.Lstat(filepath.Join(b.local, filepath.FromSlash(name)))
	if os.IsNotExist(err) {
		return plan.Side{Knowledge: plan.Seen}
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return plan.Side{Knowledge: plan.Seen, Entry: scan.LocalEntry(info)}
}

// planned is an operation as it would be planned now.
func (b *bench) planned(action plan.Action, name string) plan.Op {
	return plan.Op{Action: action, Path: name, Local: b.here(name), Remote: b.far(name)}
}

// download carries out an attempt of a download, of which the claim has noted what it is about to fetch.
func (b *bench) download(ctx context.Context, op plan.Op, attempt int) Outcome {
	b.t.Helper()
	if intent := (state.Intent{Source: op.Remote.Entry, Down: true}); !slices.Contains(b.state.intents, intent) {
		b.state.intents = append(b.state.intents, intent)
	}
	return b.do(ctx, op, attempt)
}

func mustBe(t *testing.T, want Result, o Outcome) Outcome {
	t.Helper()
	if o.Result != want {
		t.Fatalf("outcome %v (%v) %q, want %v", o.Result, o.Err, o.Reason, want)
	}
	return o
}

// TestADownloadThatWasCutOffGoesOn cuts a download in the middle, by the end of the server or of the program, and counts what the
// next attempt fetches.
func TestADownloadThatWasCutOffGoesOn(t *testing.T) {
	const size = 20 << 20
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.sync.Rules.Direction = plan.Down
		content := noise(size, 3)
		b.offer("big.bin", content)
		op := b.planned(plan.Download, "big.bin")
		part := filepath.Join(b.local, partOf("1"))
		ctx, mend := b.cutAfter(size*3/10, part)
		cut := b.download(ctx, op, 1)
		mend()
		mustBe(t, Failed, cut)
		info, err := os.Stat(part)
		if err != nil || info.Size() < size*3/10 || info.Size() > size*7/10 {
			t.Fatalf("a part of the file is left: %v (%v)", info, err)
		}
		o := mustBe(t, Done, b.download(t.Context(), op, 2))
		rest := size - info.Size()
		if o.Bytes != rest || !strings.Contains(o.Verified, "resumed at "+strconv.FormatInt(info.Size(), 10)) {
			t.Errorf("fetched %d bytes, %d were missing: %s", o.Bytes, rest, o.Verified)
		}
		if rests := b.said("REST"); !slices.Contains(rests, "REST "+strconv.FormatInt(info.Size()-4096, 10)) {
			t.Errorf("the server was asked for %v", rests)
		}
		holds(t, b.local, map[string]string{"big.bin": content})
	})
}

// TestAFileInThePlaceOfAFolder that a job needs was made after that job was planned: both sides are looked at again, and nothing is left.
func TestAFileInThePlaceOfAFolder(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.sync.Rules.Direction = plan.Both
		b.offer("z/d/file", "content")
		for _, c := range []struct {
			action plan.Action
			path   string
		}{{plan.Download, "z/d/file"}, {plan.Download, "z/file"}, {plan.MakeLocalDir, "z/d"}, {plan.MakeLocalDir, "z"}} {
			if c.path == "z/file" {
				b.offer(c.path, "content")
			}
			op := b.planned(c.action, c.path)
			write := filepath.Join(b.local, "z")
			if err := os.WriteFile(write, []byte("a file"), 0o666); err != nil {
				t.Fatal(err)
			}
			o := mustBe(t, Stale, b.download(t.Context(), op, 1))
			if !o.Replan || !strings.Contains(o.Reason, "in the way") {
				t.Errorf("%s of %s: %+v", c.action, c.path, o)
			}
			holds(t, b.local, map[string]string{"z": "a file"})
			if err := os.Remove(write); err != nil {
				t.Fatal(err)
			}
		}
	}, "vsftpd")
}

// TestWhatADownloadHasLeftIsProven: a part is gone on with only if it is one of the remote file as it is now.
func TestWhatADownloadHasLeftIsProven(t *testing.T) {
	const size, there = 3 << 20, 2 << 20
	content := noise(size, 4)
	altered := []byte(content[:there])
	altered[there-1]++
	holed := content[:there/2] + strings.Repeat("\x00", 4096) + content[there/2+4096:there]
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, row := range []struct {
			name    string
			attempt int
			left    map[string]string
			before  int64 // size of another version whose download was begun
			came    int64
		}{
			{"a part that was being written when the program was killed", 2, map[string]string{"1": content[:there]}, 0, size - there},
			{"one that was being written when the power failed", 2, map[string]string{"1": holed}, 0, size},
			{"a part of the last attempt", 2, map[string]string{"1": content[:there]}, 0, size - there},
			{"a part of the attempt before the last", 3, map[string]string{"1": content[:there]}, 0, size - there},
			{"the newest of two, though it is shorter", 3, map[string]string{"1": content[:there], "2": content[:1<<20]}, 0, size - 1<<20},
			{"all of it", 2, map[string]string{"1": content}, 0, 0},
			{"another version was begun", 2, map[string]string{"1": content[:there]}, 5, size},
			{"it is of other content", 2, map[string]string{"1": string(altered)}, 0, size},
			{"it is longer than the file", 2, map[string]string{"1": content + "x"}, 0, size},
			{"it is of an attempt long ago", 6, map[string]string{"1": content[:there]}, 0, size},
			{"the first attempt finds another's", 1, map[string]string{"1": content[:there]}, 0, size},
		} {
			t.Run(row.name, func(t *testing.T) {
				b := first.again(t)
				b.sync.Rules.Direction = plan.Down
				b.offer("big.bin", content)
				for attempt, part := range row.left {
					b.write(partOf(attempt), part)
				}
				since, _ := uptime()
				for cause, written := range map[string]time.Time{"killed": time.Now(), "power": time.Now().Add(-since - time.Minute)} {
					if strings.Contains(row.name, cause) {
						os.Chtimes(filepath.Join(b.local, partOf("1")), written, written)
					}
				}
				op := b.planned(plan.Download, "big.bin")
				if row.before > 0 {
					b.state.intents = []state.Intent{{Source: entry.Entry{Kind: entry.File, Size: row.before, ModTime: stamped, Precision: time.Second}, Down: true}}
				}
				if o := mustBe(t, Done, b.download(t.Context(), op, row.attempt)); o.Bytes != row.came {
					t.Errorf("fetched %d bytes, want %d", o.Bytes, row.came)
				}
				want := map[string]string{"big.bin": content}
				if row.attempt == 6 {
					want[partOf("1")] = content[:there] // for the next full scan
				}
				holds(t, b.local, want)
			})
		}
	}, "vsftpd", "proftpd")
}

// TestAPartOfAFileThatHasChangedIsNotGoneOnWith: nor is a job whose plan was overtaken.
func TestAPartOfAFileThatHasChangedIsNotGoneOnWith(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		const size = 2 << 20
		b.sync.Rules.Direction = plan.Down
		b.offer("big.bin", noise(size, 5))
		op := b.planned(plan.Download, "big.bin")
		b.state.intents = append(b.state.intents, state.Intent{Source: op.Remote.Entry, Down: true})
		b.write(partOf("1"), noise(size, 5)[:size/2])
		b.offer("big.bin", noise(size, 6))
		later := stamped.Add(time.Hour)
		if err := os.Chtimes(filepath.Join(b.remote, "big.bin"), later, later); err != nil {
			t.Fatal(err)
		}
		mustBe(t, Stale, b.download(t.Context(), op, 2))
		holds(t, b.local, nil)
		b.write(partOf("1"), noise(size, 5)[:size/2])
		if o := mustBe(t, Done, b.download(t.Context(), b.planned(plan.Download, "big.bin"), 2)); o.Bytes != size {
			t.Errorf("fetched %d bytes, want all %d", o.Bytes, size)
		}
		holds(t, b.local, map[string]string{"big.bin": noise(size, 6)})
	}, "pure-ftpd", "pyftpdlib")
}

// TestReceivedFilesAreVerified in the way that the sync asks for.
func TestReceivedFilesAreVerified(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.sync.Rules.Direction = plan.Down
		for how, want := range map[Verify]string{VerifySize: "size", VerifyHash: "size (no hash offered)", VerifyReread: "reread"} {
			b.sync.Verify = how
			b.offer("a "+string(how), "some text")
			if o := mustBe(t, Done, b.download(t.Context(), b.planned(plan.Download, "a "+string(how)), 1)); o.Verified != want {
				t.Errorf("verified by %q, want %q", o.Verified, want)
			}
		}
	}, "vsftpd", "pyftpdlib")
	t.Run("digest", func(t *testing.T) {
		b := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"digest"}}))
		b.sync.Rules.Direction, b.sync.Verify = plan.Down, VerifyHash
		b.offer("a", "some text")
		if o := mustBe(t, Done, b.download(t.Context(), b.planned(plan.Download, "a"), 1)); !strings.HasPrefix(o.Verified, "sha") {
			t.Errorf("verified by %q", o.Verified)
		}
	})
}
