package ftpclient

import "context"

// WayResult is what came of one way of data connections.
type WayResult struct {
	// DataAttempt has Err nil and Stage 0 where the way works.
	DataAttempt
	Works bool
	// Resumed: the TLS session of the control connection was taken over.
	Resumed bool
}

// ProbeWays tries every way of data connections that the options allow, those behind the first
// one that works too, by listing the names in folder (NLST). report, if not nil, is called after
// each. The control connection is replaced in between where a way leaves it in doubt. The error is
// that of the control connection, with the results so far.
func (c *Conn) ProbeWays(ctx context.Context, folder string, report func(WayResult)) ([]WayResult, error) {
	panic("skeleton")
}
