package work

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// grows makes all files of a bench ones that only ever grow.
func (b *bench) grows() { b.sync.Appends = func(string) bool { return true } }

// commit remembers an outcome as the dispatcher does.
func (b *bench) commit(o Outcome) Outcome {
	b.t.Helper()
	if o.Base == nil || o.Appended == nil {
		b.t.Fatalf("nothing to remember: %+v", o)
	}
	b.state.base = &state.Baseline{Local: o.Base.Local, Remote: o.Base.Remote}
	b.state.appended = o.Appended
	return o
}

func (b *bench) add(name, content string) {
	b.t.Helper()
	file, err := os.OpenFile(filepath.Join(b.local, name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(content); err != nil {
		b.t.Fatal(err)
	}
}

// TestATailThatWasCutOffGoesOn cuts the sending of what is new in the middle, by the end of the server or of the program. The
// next attempt sends what is missing, and what was written meanwhile, and no byte twice.
func TestATailThatWasCutOffGoesOn(t *testing.T) {
	const before, tail = 100 << 10, 12 << 20
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.grows()
		content := noise(before+tail, 9)
		b.write("app.log", content[:before])
		b.commit(b.mustUpload("app.log", 1))
		b.add("app.log", content[before:])
		target := filepath.Join(b.remote, "app.log")
		ctx, mend := b.cutAfter(tail/4, target)
		o := b.upload(ctx, "app.log", 1)
		mend()
		if o.Result != Failed {
			t.Fatalf("the first attempt: %v %s", o.Result, o.Reason)
		}
		info, err := os.Stat(target)
		if err != nil || info.Size() < before+tail/4 || info.Size() >= before+tail {
			t.Fatalf("a part of the tail is there: %v (%v)", info, err)
		}
		b.add("app.log", "and more")
		o = b.commit(b.mustUpload("app.log", 2))
		if want := before + tail + 8 - info.Size(); o.Bytes != want {
			t.Errorf("sent %d bytes after %d, want %d: %s", o.Bytes, info.Size(), want, o.Reason)
		}
		holds(t, b.remote, map[string]string{"app.log": content + "and more"})
		if o := b.commit(b.mustUpload("app.log", 1)); o.Bytes != 0 || !o.Already {
			t.Errorf("once more: %+v", o)
		}
	})
}

// TestWhatASecondLookAtALogFinds: each row is the state of both sides before an upload, after "one two " was sent.
func TestWhatASecondLookAtALogFinds(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, row := range []struct {
			name   string
			change func(b *bench)
			want   string
			sent   int64
		}{
			{"it has grown", func(b *bench) { b.add("app.log", "three") }, "one two three", 5},
			{"nothing is new", func(b *bench) {}, "one two ", 0},
			{"another file with the same beginning", func(b *bench) {
				b.state.appended.ID++
				b.add("app.log", "three")
			}, "one two three", 5},
			{"another file", func(b *bench) { b.write("app.log", "one tow three") }, "one tow three", 13},
			{"truncated, and as long again", func(b *bench) { b.write("app.log", "1 2 3 4 5") }, "1 2 3 4 5", 9},
			{"truncated", func(b *bench) { b.write("app.log", "one") }, "one", 3},
			{"all of it was sent before the commit", func(b *bench) {
				b.add("app.log", "three")
				b.place("app.log", "one two three", 0o666)
			}, "one two three", 0},
			{"a part of it was", func(b *bench) {
				b.add("app.log", "three")
				b.place("app.log", "one two th", 0o666)
			}, "one two three", 3},
			{"somebody has added something to it on the server", func(b *bench) {
				b.add("app.log", "three")
				b.place("app.log", "one two TH", 0o666)
			}, "one two three", 13},
			{"there is more of it on the server than here", func(b *bench) { b.place("app.log", "one two three four", 0o666) }, "one two ", 8},
			{"it is gone from the server", func(b *bench) {
				b.add("app.log", "three")
				remove(b, "app.log")
			}, "one two three", 13},
			{"what was sent cannot be read", func(b *bench) {
				b.add("app.log", "three")
				b.state.appended = nil
			}, "one two three", 13},
		} {
			t.Run(row.name, func(t *testing.T) {
				b := first.again(t)
				b.grows()
				b.write("app.log", "one two ")
				b.commit(b.mustUpload("app.log", 1))
				row.change(b)
				o := b.commit(b.mustUpload("app.log", 1))
				if o.Bytes != row.sent || b.state.appended.Size != int64(len(row.want)) {
					t.Errorf("sent %d bytes (%s), and knows of %d; want %d", o.Bytes, o.Reason, b.state.appended.Size, row.sent)
				}
				holds(t, b.remote, map[string]string{"app.log": row.want})
			})
		}
	}, "vsftpd", "pyftpdlib")
}

// TestALogThatGrowsWhileItIsSent is sent as far as it went when the upload began.
func TestALogThatGrowsWhileItIsSent(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.grows()
		b.write("app.log", "one ")
		b.hear = func(command string) {
			if strings.HasPrefix(command, "STOR") || strings.HasPrefix(command, "APPE") {
				b.add("app.log", "two ")
			}
		}
		for round, want := range []string{"one ", "one two ", "one two two "} {
			if o := b.commit(b.mustUpload("app.log", 1)); o.Bytes != 4 {
				t.Errorf("round %d: sent %d bytes", round, o.Bytes)
			}
			holds(t, b.remote, map[string]string{"app.log": want})
		}
		b.hear = func(command string) {
			if strings.HasPrefix(command, "APPE") {
				os.Truncate(filepath.Join(b.local, "app.log"), 1)
			}
		}
		if o := b.upload(t.Context(), "app.log", 1); o.Result == Done {
			t.Errorf("truncated meanwhile: %+v", o)
		}
		b.hear = nil
		b.commit(b.mustUpload("app.log", 2))
		holds(t, b.remote, map[string]string{"app.log": "o"})
	}, "proftpd")
}

// TestWhatWasSentIsProven: in one piece or in many, a file is known again by what was sent of it.
func TestWhatWasSentIsProven(t *testing.T) {
	const block = state.AppendedBlock
	for _, size := range []int{0, 1, block - 1, block, block + 1, 3*block + 7} {
		content := noise(size, 4)
		for _, piece := range []int{1 << 10, block, 1 << 20} {
			s := newSent()
			for rest := content; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				s.Write([]byte(rest[:min(piece, len(rest))]))
			}
			row, err := s.row(3)
			if err != nil || row.Size != int64(size) {
				t.Fatal(row, err)
			}
			for what, test := range map[string]struct {
				now      string
				all, yes bool
			}{
				"the same":               {content + "more", false, true},
				"the same, all of it":    {content + "more", true, true},
				"another first byte":     {altered(content, 0), false, size == 0},
				"another last byte":      {altered(content, size-1), false, size == 0},
				"another one in between": {altered(content, size/2), false, size == 0 || size > 2*block},
				"another one, all of it": {altered(content, size/2), true, size == 0},
			} {
				again, err := beginsAs(t.Context(), strings.NewReader(test.now), *row, test.all)
				if err != nil || (again != nil) != test.yes {
					t.Fatalf("%d bytes in pieces of %d, %s: %v (%v)", size, piece, what, again != nil, err)
				}
				if again == nil {
					continue
				}
				again.Write([]byte("more"))
				whole := newSent()
				whole.Write([]byte(content + "more"))
				one, err := again.row(3)
				other, err2 := whole.row(3)
				if err != nil || err2 != nil || !reflect.DeepEqual(one, other) {
					t.Fatalf("%d bytes in pieces of %d, %s: it goes on in another way", size, piece, what)
				}
			}
		}
	}
}

func altered(content string, at int) string {
	if content == "" {
		return content
	}
	b := []byte(content)
	b[at]++
	return string(b)
}

// TestAFileOfSomebodyElseInPlaceOfALog is there when a log is to be sent to its final name for the first time, by a later attempt:
// only what is a beginning of the log can be what the one before has left.
func TestAFileOfSomebodyElseInPlaceOfALog(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, row := range []struct {
			there string
			want  Result
			holds string
		}{
			{"of somebody", Stale, "of somebody"},
			{"one tw", Done, "one two three"},
			{"one two three and more", Stale, "one two three and more"},
		} {
			t.Run(row.there, func(t *testing.T) {
				b := first.again(t)
				b.grows()
				b.sync.Direct, b.sync.Rules.Foreign = true, plan.ForeignKeep
				b.write("app.log", "one two three")
				b.place("app.log", row.there, 0o666)
				info, err := os.Lstat(filepath.Join(b.local, "app.log"))
				if err != nil {
					t.Fatal(err)
				}
				o := b.do(t.Context(), plan.Op{
					Action: plan.Upload, Path: "app.log",
					Local: plan.Side{Knowledge: plan.Seen, Entry: scan.LocalEntry(info)}, Remote: plan.Side{Knowledge: plan.Assumed},
				}, 2)
				if o.Result != row.want {
					t.Errorf("%v (%v) %s", o.Result, o.Err, o.Reason)
				}
				holds(t, b.remote, map[string]string{"app.log": row.holds})
			})
		}
	}, "vsftpd", "pyftpdlib")
}
