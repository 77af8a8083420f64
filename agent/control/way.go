package control

import (
	"net"
	"net/http"
	"time"
)

// way is how commands reach an agent on the same machine. Each system has some, see ways, and uses the first.
type way struct {
	name string
	// listen opens it for an agent that holds the lock of its state: whatever is left of an earlier one is removed.
	listen func(stateDir string) (*Listener, error)
	// transport carries requests to the agent with this state folder. An error, here or from the request, means that there is none.
	transport func(stateDir string) (http.RoundTripper, error)
}

// Listener is where the requests of commands arrive.
type Listener struct {
	net.Listener
	// guard lets through what comes from somebody who may ask; nil if nobody else can connect.
	guard func(http.Handler) http.Handler
}

// Listen opens the way to an agent that holds the lock of its state. Only the agent's user, and administrators, can use it.
func Listen(stateDir string) (*Listener, error) { return ways[0].listen(stateDir) }

// dialPatience is long for a connection on the same machine.
const dialPatience = 3 * time.Second
