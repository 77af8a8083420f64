package work

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestSegmentsWithoutMDTM: one of two is refused, so the stream of the file begins once more, on a server that tells times in MLST alone.
func TestSegmentsWithoutMDTM(t *testing.T) {
	const size = 18 << 20
	content := noise(size, 5)
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		var mu sync.Mutex
		var offsets []int
		both := make(chan struct{})
		refuseLast := func(line string) (string, bool) {
			offset, ok := strings.CutPrefix(strings.TrimSpace(line), "REST ")
			if !ok || offset == "0" {
				return "", true
			}
			at, _ := strconv.Atoi(offset)
			mu.Lock()
			if offsets = append(offsets, at); len(offsets) == 2 {
				close(both)
			}
			mu.Unlock()
			<-both
			if at == slices.Max(offsets) {
				return "X" + line, true
			}
			return "", true
		}
		h := &helpers{t: t, server: b.server, address: ftptest.Relay(t, b.server.Addr, func() ftptest.Ears {
			return ftptest.Ears{Command: refuseLast, Reply: func(string) bool { return true }}
		})}
		looks := 0
		b.spares = Spares{Most: 3, Idle: func() int { return 2 }, Wanted: func() bool { return false }, Get: h.get, decide: func(time.Duration, float64, float64, int64) segmentStep {
			if looks++; looks == 2 {
				return segmentSplit
			}
			return segmentWait
		}}
		b.sync.Rules, b.without = plan.Rules{Direction: plan.Down}, "MDTM"
		b.offer("big.bin", content)
		o := mustBe(t, Done, b.download(t.Context(), b.planned(plan.Download, "big.bin"), 1))
		if begun := b.said("RETR"); !strings.HasSuffix(o.Verified, "in 2 segments") || len(begun) != 2 {
			t.Errorf("verified by %q; %q", o.Verified, begun)
		}
		holds(t, b.local, map[string]string{"big.bin": content})
	}, "proftpd", "pure-ftpd", "pyftpdlib") // vsftpd has no MLST
}

// TestSegmentsNeedExactTimes: what a listing tells to the minute does not show whether the file is still the same.
func TestSegmentsNeedExactTimes(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		conn, err := b.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		o := &op{conn: conn, env: Env{Spares: Spares{Most: 4, decide: func(time.Duration, float64, float64, int64) segmentStep { return segmentWait }}}}
		for precision, want := range map[time.Duration]bool{0: true, time.Second: true, time.Minute: false, 24 * time.Hour: false} {
			look := entry.Entry{Kind: entry.File, Size: leastSegmented, ModTime: stamped, Precision: precision}
			if got := o.segments(origin{look: look}, nil, 0); got != want {
				t.Errorf("told to %s: %t", precision, got)
			}
		}
	}, "proftpd")
}
