package work

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// partOf is the temporary name of an attempt to upload big.bin.
func partOf(attempt string) string { return ".big.bin.ftpferry-0badcafe-7." + attempt }

// TestAnUploadThatWasCutOffGoesOn cuts the upload of a file in the middle, by the end of the server or of the program, and
// counts what the next attempt sends.
func TestAnUploadThatWasCutOffGoesOn(t *testing.T) {
	const size = 20 << 20
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		content := noise(size, 1)
		b.write("big.bin", content)
		part := filepath.Join(b.remote, partOf("1"))
		ctx, mend := b.cutAfter(size*3/10, part)
		o := b.upload(ctx, "big.bin", 1)
		mend()
		if o.Result != Failed {
			t.Fatalf("the first attempt: %v %s", o.Result, o.Reason)
		}
		info, err := os.Stat(part)
		if err != nil || info.Size() < size*3/10 || info.Size() > size*3/4 {
			t.Fatalf("a part of the file is left: %v (%v)", info, err)
		}
		o = b.mustUpload("big.bin", 2)
		if o.Bytes > size-info.Size() || !strings.HasPrefix(o.Reason, "went on after ") {
			t.Errorf("sent %d bytes after %d of %d: %s", o.Bytes, info.Size(), size, o.Reason)
		}
		holds(t, b.remote, map[string]string{"big.bin": content})
	})
}

// TestWhatAnAttemptHasLeftIsProven: what is there under the name of an attempt before is gone on with only if it is a part of
// the source as it is now.
func TestWhatAnAttemptHasLeftIsProven(t *testing.T) {
	const size, there = 3 << 20, 2 << 20
	content := noise(size, 2)
	altered := []byte(content[:there])
	altered[there-1]++
	for _, o := range []ftptest.RealOptions{{}, {NoRestart: true}} {
		servers := ftptest.RealServers
		if o.NoRestart {
			servers = []string{"proftpd"}
		}
		t.Run(map[bool]string{false: "usual", true: "restart forbidden"}[o.NoRestart], func(t *testing.T) {
			onEach(t, o, func(t *testing.T, first *bench) {
				for _, row := range []struct {
					name    string
					attempt int // this one
					left    map[string]string
					before  string // another version whose upload was begun
					sent    int64
				}{
					{"a part of the last attempt", 2, map[string]string{"1": content[:there]}, "", size - there},
					{"a part of the attempt before the last, which has left nothing", 3, map[string]string{"1": content[:there]}, "", size - there},
					{"the newest of two", 3, map[string]string{"1": content[:10], "2": content[:there]}, "", size - there},
					{"all of it", 2, map[string]string{"1": content}, "", 0},
					{"another version of the source was begun", 2, map[string]string{"1": content[:there]}, "before", size},
					{"somebody has altered it", 2, map[string]string{"1": string(altered)}, "", size},
					{"it is longer than the source", 2, map[string]string{"1": content + "x"}, "", size},
					{"nothing", 2, nil, "", size},
				} {
					t.Run(row.name, func(t *testing.T) {
						b := first.again(t)
						if row.before != "" {
							b.write("big.bin", row.before)
							b.upload(t.Context(), "big.bin", 1) // fills in the intent
							if err := os.Remove(filepath.Join(b.remote, "big.bin")); err != nil {
								t.Fatal(err)
							}
						}
						for attempt, text := range row.left {
							b.place(partOf(attempt), text, 0o666)
						}
						b.write("big.bin", content)
						want := row.sent
						if o.NoRestart {
							want = size
						}
						if o := b.mustUpload("big.bin", row.attempt); o.Bytes != want {
							t.Errorf("sent %d bytes, want %d: %s", o.Bytes, want, o.Reason)
						}
						kept := map[string]string{"big.bin": content}
						if len(row.left) == 2 {
							kept[partOf("1")] = row.left["1"] // nobody's: a scan finds it
						}
						holds(t, b.remote, kept)
					})
				}
			}, servers...)
		})
	}
}

// TestASmallFileIsSentAnew: to prove what is there would cost more.
func TestASmallFileIsSentAnew(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.write("big.bin", noise(resumeFrom-1, 3))
		b.place(partOf("1"), noise(resumeFrom/2, 3), 0o666)
		if o := b.mustUpload("big.bin", 2); o.Bytes != resumeFrom-1 || len(b.said("RETR")) > 0 {
			t.Errorf("sent %d bytes, after %q", o.Bytes, b.said("RETR"))
		}
		holds(t, b.remote, map[string]string{"big.bin": noise(resumeFrom-1, 3)})
	}, "vsftpd", "pyftpdlib")
}
