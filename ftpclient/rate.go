package ftpclient

import (
	"math"

	"golang.org/x/time/rate"

	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// NewLimiter limits all connections that share it to so many bytes a second; 0 means no limit.
func NewLimiter(bytesPerSecond int64) *rate.Limiter {
	l := data.NewLimiter(bytesPerSecond)
	SetRate(l, bytesPerSecond)
	return l
}

// SetRate changes a limiter of NewLimiter, for transfers under way too. Without a limit they still move in small pieces, so
// that the next limit has nothing big to make up for.
func SetRate(l *rate.Limiter, bytesPerSecond int64) {
	if bytesPerSecond <= 0 {
		bytesPerSecond = math.MaxInt64
	}
	like := data.NewLimiter(bytesPerSecond)
	l.SetBurst(like.Burst())
	l.SetLimit(like.Limit())
}

// pace slows a data connection down to the limits of the options: those of this connection,
// and those that it shares with others.
func (c *Conn) pace(g *data.Guarded) {
	limiters := func(own **rate.Limiter, bytesPerSecond int64, shared *rate.Limiter) []*rate.Limiter {
		var all []*rate.Limiter
		if bytesPerSecond > 0 {
			if *own == nil {
				*own = data.NewLimiter(bytesPerSecond)
			}
			all = append(all, *own)
		}
		if shared != nil {
			all = append(all, shared)
		}
		return all
	}
	g.Pace(limiters(&c.downloads, c.options.DownloadRate, c.options.DownloadLimiter),
		limiters(&c.uploads, c.options.UploadRate, c.options.UploadLimiter))
}

// IsLimited reports whether a limit on downloads by this connection is in force, one of its own or one that it shares.
func (c *Conn) IsLimited() bool {
	shared := c.options.DownloadLimiter
	return c.options.DownloadRate > 0 || shared != nil && shared.Limit() != rate.Inf
}
