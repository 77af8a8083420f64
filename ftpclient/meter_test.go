package ftpclient

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRate: what a meter tells after so many seconds, with bytes that move in steps.
func TestRate(t *testing.T) {
	for sentence, row := range map[string]struct {
		step  int64         // bytes
		every time.Duration // between two steps
		until time.Duration // the last one, at the latest
		at    time.Duration
		least float64
		most  float64
	}{
		"nothing has moved":           {0, time.Second, time.Minute, 3 * time.Second, 0, 0},
		"a steady flow":               {100, 100 * time.Millisecond, time.Minute, 30 * time.Second, 900, 1100},
		"its very beginning":          {100, 100 * time.Millisecond, time.Minute, 500 * time.Millisecond, 900, 1100},
		"large steps, just after one": {12_000, 12 * time.Second, time.Hour, 5*time.Minute + time.Millisecond, 900, 1100},
		"large steps, before one":     {12_000, 12 * time.Second, time.Hour, 5*time.Minute - time.Millisecond, 400, 1100},
		"it stands still":             {100, 100 * time.Millisecond, 30 * time.Second, time.Minute, 0, 40},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m meter
				begin := time.Now()
				m.begin(begin)
				for at := row.every; at <= min(row.at, row.until); at += row.every {
					time.Sleep(row.every)
					m.add(row.step)
				}
				if got := m.rate(begin.Add(row.at)); got < row.least || got > row.most {
					t.Errorf("%.0f bytes a second", got)
				}
			})
		})
	}
}

// TestRateFollows: what was long ago does not count.
func TestRateFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m meter
		m.begin(time.Now())
		for i := range 60 {
			time.Sleep(time.Second)
			if i < 30 {
				m.add(1000)
			} else {
				m.add(2000)
			}
		}
		if got := m.rate(time.Now()); got != 2000 {
			t.Errorf("%.0f bytes a second, want 2000", got)
		}
	})
}

// TestWhatFlowedIsKnown: the time of the last byte, not of the one who asks.
func TestWhatFlowedIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m meter
		for range 2 { // a meter that begins anew
			if m.begin(time.Now()); m.last.Load() != 0 {
				t.Error("something has flowed before the beginning")
			}
			time.Sleep(7 * time.Second)
			m.add(1)
			time.Sleep(time.Minute)
			m.add(0)
			if got := time.Duration(m.last.Load()); got != 7*time.Second {
				t.Errorf("for %v", got)
			}
		}
	})
}
