package agent

import (
	"fmt"
	"reflect"

	"github.com/ftpferry/ftpferry/agent/config"
)

// takeover says how another value of a key of [agent] comes into force while an agent runs.
type takeover uint8

const (
	// refused: the whole configuration is, as with that value the agent would be another one.
	refused takeover = iota + 1
	// atStart: it is about the start of the process alone; the next one goes by it.
	atStart
	// asRead: it is read from the configuration in force whenever it is needed.
	asRead
	// byProgram: the program follows it, which the agent is a part of.
	byProgram
	// byWeb, byHeartbeat, byState and byLocator: those follow it, and what they have under way goes on.
	byWeb
	byHeartbeat
	byState
	byLocator
)

// takeovers are all keys of [agent], by where config.Agent has them. [alert.NAME] is followed as a whole: see alert.Teller.Take.
var takeovers = map[string]struct {
	key string
	how takeover
}{
	"StateDir":             {"state_dir", refused},
	"Log.Level":            {"log.level", byProgram},
	"Log.Format":           {"log.format", byProgram},
	"Listen":               {"listen", byWeb},
	"ListenToken":          {"listen_token", byWeb},
	"Reload":               {"reload", byProgram},
	"ShutdownGrace":        {"shutdown_grace", asRead},
	"AllowNetworkStateDir": {"allow_network_state_dir", atStart},
	"MaxStateSize":         {"max_state_size", byState},
	"History.Keep":         {"history.keep", asRead},
	"History.Rows":         {"history.rows", asRead},
	"AddressSources":       {"address_sources", byLocator},
	"Heartbeat":            {"heartbeat", byHeartbeat},
}

// refusalOf returns why a running agent does not take a configuration, nil if it does.
func refusalOf(was, is *config.Config) error {
	if was.Agent.StateDir == is.Agent.StateDir {
		return nil
	}
	return problem(is, "agent.state_dir", fmt.Sprintf("an agent keeps its state folder as long as it runs, and this one has %q: restart the service, or write that again", was.Agent.StateDir))
}

// problem is one of a configuration that only a running agent finds.
func problem(cfg *config.Config, key, text string) error {
	return &config.Error{Problems: []config.Problem{{File: cfg.Path, Key: key, Text: text}}}
}

// takeOver has what is beside the work follow the configuration of an agent, which is in force now. The dispatcher calls it.
func (d *dispatcher) takeOver(was *config.Config) error {
	is := d.agent.cfg
	if from := is.Agent.AddressSources; !reflect.DeepEqual(from, was.Agent.AddressSources) {
		d.locator.Ask(from.Gateway, from.STUN, from.HTTPS)
	}
	if size := is.Agent.MaxStateSize; size != was.Agent.MaxStateSize {
		if err := d.agent.db.SetMaxSize(size); err != nil {
			return fmt.Errorf("change max_state_size: %w", err)
		}
	}
	d.agent.lookAgain()
	return nil
}

// lookAgain tells those beside the work that something about the configuration is new. It may be called before Run, which then finds it.
func (l *lasting) lookAgain() {
	signal(l.toBeat)
	signal(l.toLook)
}

// signal has somebody look, if he is not about to.
func signal(somebody chan<- struct{}) {
	select {
	case somebody <- struct{}{}:
	default:
	}
}
