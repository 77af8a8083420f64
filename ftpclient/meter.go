package ftpclient

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// rateOver is the time over which Transfer.Rate looks, and meterStep how often a meter remembers how much has moved.
	rateOver  = 5 * time.Second
	meterStep = time.Second
)

// meter counts the bytes of a transfer. One goroutine counts; any may read.
type meter struct {
	total atomic.Int64
	last  atomic.Int64 // how long after the beginning bytes moved last, a time.Duration
	mu    sync.Mutex   // guards marks
	marks marks
	begun time.Time // this and next only for the one who counts
	next  time.Time // when marks gets the next one
}

// begin has the meter count from zero.
func (m *meter) begin(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.Store(0)
	m.last.Store(0)
	m.begun = now
	m.marks = marks{list: [marksKept]mark{{at: now}}, count: 1}
	m.next = now.Add(meterStep)
}

func (m *meter) add(n int64) {
	if n <= 0 {
		return
	}
	total := m.total.Add(n)
	now := time.Now()
	m.last.Store(int64(now.Sub(m.begun)))
	if !now.Before(m.next) {
		m.next = now.Add(meterStep)
		m.mu.Lock()
		m.marks.add(mark{now, total})
		m.mu.Unlock()
	}
}

func (m *meter) rate(now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.marks.rate(m.total.Load(), now)
}

// mark is how many bytes had moved at a time.
type mark struct {
	at    time.Time
	total int64
}

// marksKept is enough for rateOver.
const marksKept = 8

// marks are the last ones of a transfer, a ring.
type marks struct {
	list  [marksKept]mark
	count int // of all that were ever added
}

func (m *marks) add(next mark) {
	m.list[m.count%marksKept] = next
	m.count++
}

// rate is how many bytes a second have moved since rateOver ago. Where they move in steps further apart than that, it is since the
// last mark before the last step; so what stands still slows down little by little.
func (m *marks) rate(total int64, now time.Time) float64 {
	for i := m.count - 1; i >= max(m.count-marksKept, 0); i-- {
		from := m.list[i%marksKept]
		if oldest := i == 0 || i == m.count-marksKept; !oldest && (now.Sub(from.at) < rateOver || from.total == total) {
			continue
		}
		if took := now.Sub(from.at); took > 0 {
			return float64(total-from.total) / took.Seconds()
		}
		break
	}
	return 0
}
