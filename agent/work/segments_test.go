package work

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestSegmentPace(t *testing.T) {
	const mb = 1e6
	turn := 100 * time.Millisecond
	same := func(n int, rate float64) []float64 { return slices.Repeat([]float64{rate * mb}, n) }
	starts := []float64{1 * mb, 2 * mb, 4 * mb}
	tests := []struct {
		name  string
		turn  time.Duration
		left  int64
		own   []float64 // rates of the one stream
		all   []float64 // and of all, from the look behind the split on
		want  segmentStep
		split int           // at which look; 0 for none
		every time.Duration // looks are not more often
	}{
		{"a stream that gets faster is left alone", turn, 30 << 20, []float64{1 * mb, 2 * mb, 4 * mb, 8 * mb, 16 * mb}, nil, segmentWait, 0, 0},
		{"unless much is left: others have to get faster too", turn, 1 << 30, starts, nil, segmentSplit, 3, 0},
		{"one that does not is split", turn, 32 << 20, []float64{1 * mb, 25 * mb, 26 * mb}, nil, segmentSplit, 3, 0},
		{"the first looks prove nothing", turn, 1 << 30, same(2, 25), nil, segmentWait, 0, 0},
		{"what is left would be there before the others had begun", turn, 20 << 20, []float64{1 * mb, 25 * mb, 26 * mb}, nil, segmentWait, 0, 0},
		{"a shorter line is opened sooner", turn / 10, 30 << 20, []float64{1 * mb, 25 * mb, 26 * mb}, nil, segmentSplit, 3, 0},
		{"nothing comes", turn, 1 << 30, same(4, 0), nil, segmentWait, 0, 0},
		{"segments have their time to begin", turn / 10, 1 << 30, same(3+43, 9), same(43, 9), segmentWait, 3, 0},
		{"segments do not help", turn / 10, 1 << 30, slices.Concat(same(5, 9), same(42, 2)), same(44, 9), segmentJoin, 3, 0},
		{"segments help", turn / 10, 1 << 30, same(3+45, 9), slices.Concat(same(25, 9), same(20, 30)), segmentWait, 3, 0},
		{"a moment of speed is no help", turn / 10, 1 << 30, same(3+44, 9), slices.Concat(same(42, 9), same(1, 30), same(1, 9)), segmentJoin, 3, 0},
		{"the one stream would have come as far alone", turn / 10, 1 << 30, slices.Concat(starts, same(4, 9), same(40, 2)), same(44, 9), segmentJoin, 3, 0},
		{"a line so slow that looks are rare", turn / 10, 1 << 30, same(7, .1), same(4, .1), segmentJoin, 3, time.Second / 2},
		{"what was held up and came at once is not its speed", turn / 10, 1 << 30, slices.Concat(same(3, 9), same(3, 0), same(1, 36), same(41, 9)), same(45, 30), segmentWait, 3, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, waits := newSegmentPace(test.turn), newSegmentPace(test.turn)
			every := max(p.every, test.every)
			var last segmentStep
			split := 0
			for i, own := range test.own {
				all := own
				if split > 0 {
					all = test.all[i-split]
				}
				if last = p.look(every, own, all, test.left, true); last == segmentSplit {
					split = i + 1
				}
				if waits.look(every, own, all, test.left, false) != segmentWait {
					t.Error("it is split before others are there")
				}
			}
			if last != test.want || split != test.split {
				t.Errorf("%d, split at look %d; want %d, %d", last, split, test.want, test.split)
			}
			if last == segmentJoin && p.look(every, 1, 1, 1<<30, true) != segmentWait {
				t.Error("it is split or joined twice")
			}
		})
	}
}

// helpers lend connections to a server, through a relay.
type helpers struct {
	t       *testing.T
	address string
	server  *ftptest.RealServer
	mu      sync.Mutex
	asked   int
	refuse  func(n int) bool // the nth who asks gets none
	out     int              // connections that were not given back
	back    chan struct{}    // gets one for each that was, if not nil
}

func (h *helpers) get(ctx context.Context) (*ftpclient.Conn, func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if h.refuse != nil && h.refuse(h.asked) {
		return nil, nil, errors.New("none left")
	}
	conn, err := ftpclient.Dial(ctx, h.address, optionsFor(h.server))
	if err != nil {
		return nil, nil, err
	}
	h.out++
	return conn, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.out--
		conn.Close()
		if h.back != nil {
			h.back <- struct{}{}
		}
	}, nil
}

// whenAllAreBack has the stream of the file go on when the three others have ended.
func whenAllAreBack(b *bench, h *helpers) {
	h.back = make(chan struct{}, 3)
	looks := 0
	b.spares.decide = func(time.Duration, float64, float64, int64) segmentStep {
		switch looks++; looks {
		case 2:
			return segmentSplit
		case 3:
			for range 3 {
				<-h.back
			}
		}
		return segmentWait
	}
}

func TestSegments(t *testing.T) { testSegments(t, ftptest.RealOptions{}) }

func TestSegmentsByTLS(t *testing.T) { testSegments(t, ftptest.RealOptions{RequireTLS: true}) }

// testSegments downloads a file in segments. After each slice, what is there under the temporary name has to be a beginning of it: a
// program that is killed leaves that.
func testSegments(t *testing.T, o ftptest.RealOptions) {
	const size = 18 << 20
	content := noise(size, 5)
	tests := []struct {
		name   string
		change func(b *bench, h *helpers)
		ears   ftptest.Ears // of the connections of helpers
		fails  error
		says   string // how it was verified has to end so
		begins int    // how often the stream of the file itself does, if not 0
	}{
		{name: "four streams", says: "in 4 segments"},
		{name: "no connection is to spare", change: func(b *bench, _ *helpers) { b.spares.Idle = func() int { return 0 } }, says: "size"},
		{name: "it is switched off", change: func(b *bench, _ *helpers) { b.spares.Most = 1 }, says: "size"},
		{name: "one to spare", change: func(b *bench, _ *helpers) { b.spares.Idle = func() int { return 1 } }, says: "in 2 segments"},
		{name: "one in the middle gets no connection", says: "in 3 segments",
			change: func(_ *bench, h *helpers) { h.refuse = func(n int) bool { return n == 2 } }},
		{name: "there is no REST", says: "size", begins: 1, change: whenAllAreBack, ears: ftptest.Ears{Command: func(line string) (string, bool) {
			if strings.HasPrefix(line, "REST") {
				return "X" + line, true
			}
			return "", true
		}}},
		{name: "none gets one", says: "size", change: func(_ *bench, h *helpers) { h.refuse = func(int) bool { return true } }},
		{name: "somebody wants the connections", says: "",
			change: func(b *bench, h *helpers) {
				b.spares.Wanted = func() bool {
					h.mu.Lock()
					defer h.mu.Unlock()
					return h.asked > 0
				}
			}},
		{name: "they do not help", says: "",
			change: func(b *bench, h *helpers) {
				looks := 0
				b.spares.decide = func(time.Duration, float64, float64, int64) segmentStep {
					b.isBeginning(content)
					switch looks++; looks {
					case 1:
						return segmentSplit
					case 3:
						return segmentJoin
					}
					return segmentWait
				}
			}},
		{name: "the server ignores offsets", fails: errSeam, ears: ftptest.Ears{Command: func(line string) (string, bool) {
			if strings.HasPrefix(line, "REST") {
				return "350 Restarting, says the firewall", true
			}
			return "", true
		}}},
	}
	onEach(t, o, func(t *testing.T, first *bench) {
		for _, test := range tests {
			if o.RequireTLS && test.ears.Command != nil {
				continue // nobody can read along
			}
			t.Run(test.name, func(t *testing.T) {
				b := first.again(t)
				if test.ears.Command == nil {
					test.ears.Command = func(string) (string, bool) { return "", true }
				}
				test.ears.Reply = func(string) bool { return true }
				h := &helpers{t: t, server: b.server, address: b.server.Addr}
				if !o.RequireTLS {
					h.address = ftptest.Relay(t, b.server.Addr, func() ftptest.Ears { return test.ears })
				}
				b.sync.Rules = plan.Rules{Direction: plan.Down}
				looks := 0
				b.spares = Spares{Most: 4, Idle: func() int { return 3 }, Wanted: func() bool { return false }, Get: h.get, decide: func(time.Duration, float64, float64, int64) segmentStep {
					if looks%5 == 0 {
						b.isBeginning(content)
					}
					if looks++; looks == 2 {
						return segmentSplit
					}
					return segmentWait
				}}
				if test.change != nil {
					test.change(b, h)
				}
				b.offer("big.bin", content)
				op := b.planned(plan.Download, "big.bin")
				if test.fails != nil {
					if o := mustBe(t, Failed, b.download(t.Context(), op, 1)); !errors.Is(o.Err, test.fails) {
						t.Fatal(o.Err)
					}
					b.isBeginning(content)
					if b.conn.TakesSegments() {
						t.Error("nothing was learned")
					}
					o := mustBe(t, Done, b.download(t.Context(), op, 2)) // goes on with what is whole, by one stream
					if strings.Contains(o.Verified, "segments") {
						t.Error(o.Verified)
					}
				} else if o := mustBe(t, Done, b.download(t.Context(), op, 1)); !strings.HasSuffix(o.Verified, test.says) || o.Bytes != size {
					t.Errorf("verified by %q, want %q; %d bytes", o.Verified, test.says, o.Bytes)
				}
				holds(t, b.local, map[string]string{"big.bin": content}) // and nothing else
				if begun := len(b.said("RETR")); test.begins > 0 && !o.RequireTLS && begun != test.begins {
					t.Errorf("the stream of the file begins %d times, want %d", begun, test.begins)
				}
				if h.out != 0 {
					t.Errorf("%d connections were not given back", h.out)
				}
			})
		}
	})
}

// TestNoSegmentsUnderALimit downloads a large file from a server that answers slowly: what holds its stream up is not the line.
func TestNoSegmentsUnderALimit(t *testing.T) {
	const size = leastWarmed + 1<<20
	content := noise(size, 6)
	tests := []struct {
		name  string
		limit int64
		asked bool // for connections that could help
	}{
		{"there is none", 0, true},
		{"the stream comes to it", 12 << 20, false},
	}
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, test := range tests {
			b := first.again(t)
			h := &helpers{t: t, server: b.server, address: b.server.Addr}
			b.sync.Rules = plan.Rules{Direction: plan.Down}
			b.hear = func(string) { time.Sleep(2 * shortLine) }
			b.limit = test.limit
			b.spares = Spares{Most: 4, Idle: func() int { return 3 }, Wanted: func() bool { return false }, Get: h.get}
			b.offer("big.bin", content)
			o := mustBe(t, Done, b.download(t.Context(), b.planned(plan.Download, "big.bin"), 1))
			if asked := h.asked > 0; asked != test.asked || test.limit > 0 && strings.Contains(o.Verified, "segments") {
				t.Errorf("%s: %d asked, verified by %q", test.name, h.asked, o.Verified)
			}
			holds(t, b.local, map[string]string{"big.bin": content})
		}
	}, "proftpd")
}

// TestSegmentsEndWhereTheyDoNotHelp has several streams share a line that one of them has filled. On a busy machine that one may begin with
// less, so that others do seem to help: not every download has to find out.
func TestSegmentsEndWhereTheyDoNotHelp(t *testing.T) {
	const size = 64 << 20
	content := noise(size, 7)
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		host, _, _ := net.SplitHostPort(b.server.Addr)
		b.line = &line{t: t, host: host, carries: 1 << 40, speed: rate.NewLimiter(12<<20, 64<<10)}
		defer b.line.cut()
		h := &helpers{t: t, server: b.server}
		h.address = ftptest.Relay(t, b.server.Addr, func() ftptest.Ears {
			return ftptest.Ears{Command: func(string) (string, bool) { return "", true }, Reply: func(string) bool { return true }, Rewrite: b.line.passive}
		})
		b.sync.Rules = plan.Rules{Direction: plan.Down}
		b.hear = func(string) { time.Sleep(2 * shortLine) }
		b.spares = Spares{Most: 4, Idle: func() int { return 3 }, Wanted: func() bool { return false }, Get: h.get}
		const found = "segments do not make the download faster"
		files := map[string]string{}
		for i := 0; i < 4 && !strings.Contains(b.log.String(), found); i++ {
			name := fmt.Sprint("big-", i)
			files[name] = content
			b.offer(name, content)
			mustBe(t, Done, b.download(t.Context(), b.planned(plan.Download, name), 1))
		}
		if log := b.log.String(); !strings.Contains(log, "goes on in segments") || !strings.Contains(log, found) {
			t.Error("they have always seemed to help")
		}
		holds(t, b.local, files)
	}, "proftpd")
}

// isBeginning looks at the only file in the local folder.
func (b *bench) isBeginning(content string) {
	b.t.Helper()
	entries, err := os.ReadDir(b.local)
	if err != nil || len(entries) != 1 {
		b.t.Fatalf("%d files: %v, %v", len(entries), entries, err)
	}
	part, err := os.ReadFile(filepath.Join(b.local, entries[0].Name()))
	if err != nil || len(part) == 0 || !strings.HasPrefix(content, string(part)) {
		b.t.Errorf("%d bytes that are no beginning: %v", len(part), err)
	}
}
