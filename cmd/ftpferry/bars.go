package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	// barRefresh is how often bars are drawn, and barName how many columns the name of a file has in one.
	barRefresh = 200 * time.Millisecond
	barName    = 24
	// shownBars is how many transfers have a bar.
	shownBars = 16
)

// barRow is how far one transfer has come.
type barRow struct {
	key, name        string // of the transfer, and of its file for people
	size, done, rate int64  // bytes, -1 if nobody knows; a second
}

// bars show on a terminal how far transfers have come, below the lines that are printed meanwhile. One goroutine at a time calls show.
type bars struct {
	progress *mpb.Progress
	shown    map[string]*shownBar
}

type shownBar struct {
	bar *mpb.Bar
	row atomic.Pointer[barRow]
}

func newBars(terminal io.Writer) *bars {
	return &bars{
		progress: mpb.New(mpb.WithOutput(terminal), mpb.WithAutoRefresh(), mpb.WithRefreshRate(barRefresh)),
		shown:    map[string]*shownBar{},
	}
}

// Write prints whole lines above the bars.
func (b *bars) Write(lines []byte) (int, error) { return b.progress.Write(lines) }

// show draws the rows in place of those before.
func (b *bars) show(rows []barRow) {
	rows = rows[:min(len(rows), shownBars)]
	for key, s := range b.shown {
		if !slices.ContainsFunc(rows, func(r barRow) bool { return r.key == key }) {
			s.bar.Abort(true)
			delete(b.shown, key)
		}
	}
	for _, row := range rows {
		s := b.shown[row.key]
		if s == nil {
			s = &shownBar{}
			s.row.Store(&row)
			// A total of 0 keeps the bar from being complete by itself.
			s.bar = b.progress.New(0, mpb.BarStyle(),
				mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return barTitle(s.row.Load().name) })),
				mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + barText(*s.row.Load()) })))
			b.shown[row.key] = s
		}
		s.row.Store(&row)
		s.bar.SetTotal(max(row.size, 0), false)
		s.bar.SetCurrent(row.done)
	}
}

// end takes all bars away, and has the last lines printed.
func (b *bars) end() {
	b.show(nil)
	b.progress.Wait()
}

// barTitle is a name in barName columns: its end tells more than its beginning.
func barTitle(name string) string {
	title := pathText(name)
	if columnsOf(title) > barName {
		runes := []rune(title)
		for columnsOf(string(runes)) > barName-3 {
			runes = runes[1:]
		}
		title = "..." + string(runes)
	}
	return title + strings.Repeat(" ", barName-columnsOf(title)+1)
}

// barText is what stands behind a bar.
func barText(r barRow) string {
	share, left := "", ""
	if r.size > 0 {
		share = fmt.Sprintf("%d%%", r.done*100/r.size)
	}
	if r.rate > 0 && r.size > r.done {
		left = spanText(time.Duration((r.size-r.done+r.rate-1)/r.rate) * time.Second)
	}
	return fmt.Sprintf("%4s %10s %10s/s %7s", share, bytesText(r.done), bytesText(r.rate), left)
}

// drawing calls rows and shows them until stop is called, which waits for the end.
func (b *bars) drawing(rows func() []barRow) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(barRefresh)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				b.show(rows())
			case <-done:
				b.end()
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
