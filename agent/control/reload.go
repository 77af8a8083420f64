package control

import "context"

// Reloaded says what became of a configuration that was read again.
type Reloaded struct {
	// Changes is how many servers and syncs are not as they were before; they have begun anew, all others have gone on.
	Changes int `json:"changes"`
}

// Current is implemented by a Service whose place another one may take while it is served.
type Current interface{ Current() Service }

// Reload implements Service.
func (c *Client) Reload(ctx context.Context) (reloaded Reloaded, err error) {
	err = c.post(ctx, "/v1/reload", struct{}{}, &reloaded)
	return reloaded, err
}
