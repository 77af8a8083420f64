package work

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// TestConnectionsAreWarmWhenSegmentsBegin looks at what is opened, held and given back while one stream comes to its speed.
func TestConnectionsAreWarmWhenSegmentsBegin(t *testing.T) {
	// sight is what has been asked for and given back by a time, and what the pace says then.
	type sight struct {
		after       time.Duration
		asked, back int32
		step        segmentStep
	}
	const third = 10 * time.Second // the first takes a second to open, and the second two
	tests := []struct {
		name   string
		left   int64
		idle   int
		wanted bool // by somebody else
		none   bool // after all
		seen   []sight
	}{
		{"none is given back until the last one is there", 1 << 30, 9, false, false, []sight{{0, 3, 0, segmentWait}, {third - 1, 3, 0, segmentWait}, {third, 3, 3, segmentSplit}}},
		{"as many as there are to spare", 1 << 30, 2, false, false, []sight{{0, 2, 0, segmentWait}, {2*time.Second - 1, 2, 0, segmentWait}, {2 * time.Second, 2, 2, segmentSplit}}},
		{"somebody waits for one", 1 << 30, 3, true, false, []sight{{time.Second, 3, 0, segmentWait}, {time.Second + segmentLook, 3, 1, segmentWait}, {third, 3, 3, segmentSplit}}},
		{"there are none after all", 1 << 30, 3, false, true, []sight{{third - 1, 3, 0, segmentWait}, {third, 3, 0, segmentSplit}}},
		{"a file that is there before they would be", 20 << 20, 3, false, false, []sight{{0, 0, 0, segmentSplit}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked, back atomic.Int32
				spares := Spares{
					Most: 4, Idle: func() int { return test.idle }, Wanted: func() bool { return test.wanted },
					Get: func(context.Context) (*ftpclient.Conn, func(), error) {
						took := []time.Duration{time.Second, 2 * time.Second, third}[asked.Add(1)-1]
						time.Sleep(took)
						if test.none {
							return nil, nil, errors.New("none")
						}
						return nil, func() { back.Add(1) }, nil
					},
				}
				s := &segmentation{o: &op{env: Env{Spares: spares}}, warm: make(chan struct{})}
				began := time.Now()
				s.warmUp(t.Context(), test.left)
				for _, want := range test.seen {
					time.Sleep(time.Until(began.Add(want.after)))
					synctest.Wait()
					s.pace = segmentPace{turn: time.Second, own: []float64{1e6, 1e6}} // one stream is as fast as it gets
					if got := (sight{want.after, asked.Load(), back.Load(), s.decide(time.Second, 1e6, 1e6, 1<<30)}); got != want {
						t.Errorf("%+v, want %+v", got, want)
					}
				}
				s.streams.Wait()
			})
		})
	}
}
