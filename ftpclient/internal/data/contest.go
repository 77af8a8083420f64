package data

import "time"

const (
	// contestSettles is what goes through in a way before it is measured: more than sockets hold.
	contestSettles = 16 << 20
	// contestMeasures is how much a measurement takes.
	contestMeasures = 32 << 20
	// contestRate is how many bytes a second must go through for the way of copying to matter: a slower line is the limit
	// by itself, and sendfile is what costs least.
	contestRate = 512 << 20
	// contestMargin is how much faster copying through a buffer has to be.
	contestMargin = 1.1
)

// contest finds out during an upload which way of copying is the faster one here. By sendfile this side does not touch the
// content, but a receiver on the same machine, or behind a line as fast as its memory, then reads pages that no
// cache holds, and if it reads in small portions it may take half as long again (vsftpd does). Content that went through a buffer is
// warm. Both ways are measured once; what is slower than contestRate stays with sendfile. The zero value is at the start.
type contest struct {
	stage    contestStage
	moved    int64 // in this stage
	began    time.Time
	sendfile float64 // bytes a second
}

type contestStage int

const (
	settlingSendfile contestStage = iota // the first pieces by sendfile
	measuringSendfile
	settlingBuffer // the first pieces through a buffer
	measuringBuffer
	sendfileWon
	bufferWon
)

// throughBuffer is the way of the next piece.
func (c *contest) throughBuffer() bool {
	return c.stage == settlingBuffer || c.stage == measuringBuffer || c.stage == bufferWon
}

// piece notes that n bytes more have gone at now in the way of throughBuffer.
func (c *contest) piece(n int64, now time.Time) {
	if c.stage >= sendfileWon {
		return
	}
	c.moved += n
	switch c.stage {
	case settlingSendfile, settlingBuffer:
		if c.moved >= contestSettles {
			c.enter(c.stage+1, now)
		}
	case measuringSendfile:
		if c.moved < contestMeasures {
			return
		}
		c.sendfile = c.rate(now)
		if c.sendfile < contestRate {
			c.enter(sendfileWon, now)
			return
		}
		c.enter(settlingBuffer, now)
	case measuringBuffer:
		if c.moved < contestMeasures {
			return
		}
		if c.rate(now) >= contestMargin*c.sendfile {
			c.enter(bufferWon, now)
			return
		}
		c.enter(sendfileWon, now)
	}
}

func (c *contest) enter(stage contestStage, now time.Time) {
	c.stage, c.moved, c.began = stage, 0, now
}

func (c *contest) rate(now time.Time) float64 {
	return float64(c.moved) / max(now.Sub(c.began), time.Nanosecond).Seconds()
}
