package ftpclient

import (
	"golang.org/x/time/rate"

	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

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
