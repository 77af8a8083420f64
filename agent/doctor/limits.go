package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// beyond is how many connections more than configured are tried.
const beyond = 2

func tellIdleLimit(_ context.Context, _ *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	limit := conn.Facts().IdleLimit
	if limit == 0 {
		return Unknown, nil, "the server does not tell", nil
	}
	return Works, int64(limit), "the server hangs up after " + durationText(limit.Duration()) + ", as it says", nil
}

// tryConnections opens as many connections as are configured and a few more, one after the
// other, stops at the first refusal, and closes them all.
func tryConnections(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	if e.Beside {
		return Unknown, nil, notTried + "the running agent would lack the connections", nil
	}
	var open []*ftpclient.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for most := e.Server.Connections + beyond; len(open)+1 < most; {
		another, err := again(ctx, conn, time.Second)
		if err == nil {
			open = append(open, another)
			continue
		}
		if ctx.Err() != nil {
			return "", nil, "", err
		}
		count := len(open) + 1
		detail := fmt.Sprintf("%d; then: %s", count, shortReply(err))
		if ftpclient.Classify(err) != ftpclient.ClassBusy {
			return Unknown, count, detail, nil
		}
		if count >= e.Server.Connections {
			return Works, count, detail, nil
		}
		return Absent, count, detail, nil
	}
	return Works, len(open) + 1, fmt.Sprintf("%d, and maybe more", len(open)+1), nil
}
