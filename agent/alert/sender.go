package alert

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/ftpferry/ftpferry/agent/config"
)

// Sender is a way by which messages go.
type Sender interface {
	// Send makes one attempt, bounded by ctx. answer is what came back, for people; neither it nor an error holds a secret.
	Send(ctx context.Context, m Message) (answer string, err error)
}

// errLate is the cause when an attempt takes longer than timeout.
var errLate = errors.New("not done in time (timeout)")

// newSender returns the way of a channel.
func newSender(a *config.Alert) Sender {
	switch {
	case a.Webhook != nil:
		return webhook{*a.Webhook}
	case a.Email != nil:
		return email{*a.Email}
	}
	return command{a.Command}
}

// rulesOf are those of a channel. It is always told of the agent itself.
func rulesOf(a *config.Alert) Rules {
	r := Rules{
		Name: a.Name, On: []Kind{Stopped}, Syncs: a.Syncs, Servers: a.Servers, Down: a.After, Certificate: a.Certificate,
		Gather: a.Group, Remind: a.Remind, PerHour: a.Limit,
	}
	for _, word := range a.On {
		r.On = append(r.On, Kind(word))
	}
	return r
}

// hostName is that of this machine, for people.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// passed are the variables of this process that commands get. All others stay here: passwords may be among them.
var passed = []string{"PATH", "HOME", "LANG", "TZ", "TMPDIR", "SYSTEMROOT", "TEMP", "TMP", "COMSPEC", "PATHEXT", "USERPROFILE"}

func passedEnvironment() (variables []string) {
	for _, name := range passed {
		if value, set := os.LookupEnv(name); set {
			variables = append(variables, name+"="+value)
		}
	}
	return slices.Clip(variables)
}
