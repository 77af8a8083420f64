package doctor

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// Outcome is what an examination amounts to.
type Outcome string

// The outcomes, the best first.
const (
	// Well: the agent can work with this server.
	Well Outcome = "well"
	// Interrupted: the examination was stopped before its end.
	Interrupted Outcome = "interrupted"
	// Unavailable: the server cannot be reached, or takes no logins now.
	Unavailable Outcome = "unavailable"
	// NeedsPerson: something will not get better by waiting.
	NeedsPerson Outcome = "needs_person"
)

var outcomes = []Outcome{Well, Interrupted, Unavailable, NeedsPerson}

// Worst returns the worse one of two outcomes.
func Worst(a, b Outcome) Outcome {
	if slices.Index(outcomes, a) < slices.Index(outcomes, b) {
		return b
	}
	return a
}

// Report is all that was found out about one server. Its texts hold no control characters, and
// its JSON keys are a contract with scripts.
type Report struct {
	Server  string  `json:"server"`
	Address string  `json:"address"`
	Outcome Outcome `json:"outcome"`
	Took    Span    `json:"seconds"`

	Reach    Reach     `json:"reachability"`
	TLS      *TLS      `json:"tls,omitempty"`
	Channels *Channels `json:"data_channels,omitempty"`
	Outside  *Outside  `json:"external_address,omitempty"`
	Scratch  *Scratch  `json:"scratch_folder,omitempty"`
	Features []Feature `json:"features"`

	// Problems are in the way of the agent; Notes are worth knowing.
	Problems []Problem `json:"problems"`
	Notes    []string  `json:"notes"`
	Settings []Setting `json:"settings"`
	// TOML is the section of the server with these settings, to be pasted into agent.toml.
	TOML string `json:"toml"`
}

// Problem is something that keeps the agent from its work.
type Problem struct {
	Kind Outcome `json:"kind"`
	What string  `json:"what"`
	// Cure is what to do about it, "" where What says it.
	Cure string `json:"cure,omitempty"`
}

// Reach is the way to the server and into it.
type Reach struct {
	Host string `json:"host"`
	// Proxy is the host and port of the proxy, which resolves the name of the server; "" for none.
	Proxy     string    `json:"proxy,omitempty"`
	Addresses []Address `json:"addresses"`
	Resolved  Span      `json:"resolved_seconds"`
	// Local and Remote are the ends of the control connection; through a proxy, of that to the proxy.
	Local     string `json:"local,omitempty"`
	Remote    string `json:"remote,omitempty"`
	Connected Span   `json:"connected_seconds"`
	Greeting  string `json:"greeting,omitempty"`
	// Kind is the kind of server in one word, "" when unknown.
	Kind string `json:"kind,omitempty"`
	User string `json:"user"`
	// LoggedIn: the login was accepted, LoginTook after the dialling began.
	LoggedIn  bool   `json:"logged_in"`
	LoginTook Span   `json:"login_seconds"`
	Home      string `json:"home,omitempty"`
	RoundTrip Span   `json:"round_trip_seconds"`
	// Listed is what the server lists in FEAT.
	Listed []string `json:"listed_features"`
}

// Address is one of the server's addresses.
type Address struct {
	Address string `json:"address"`
	// Tried is false for addresses that nobody needed to try.
	Tried     bool   `json:"tried"`
	Connected bool   `json:"connected"`
	Took      Span   `json:"seconds"`
	Error     string `json:"error,omitempty"`
}

// TLS is how the server protects connections.
type TLS struct {
	Mode string `json:"mode"`
	// Offered: a server that is used without TLS would do it.
	Offered     bool         `json:"offered"`
	Versions    []TLSVersion `json:"versions"`
	Certificate *Certificate `json:"certificate,omitempty"`
	// Resumes: data connections took over the session of the control connection; nil when unknown.
	Resumes *bool `json:"data_connections_resume,omitempty"`
	// Required: the server refuses those that do not; nil when unknown.
	Required *bool `json:"resumption_required,omitempty"`
	// RequiredReply is what the server said to a data connection without resumption.
	RequiredReply string `json:"resumption_reply,omitempty"`
	// Resumes12: they do with TLS 1.2. It is looked at where they do not with TLS 1.3.
	Resumes12 *bool `json:"data_connections_resume_tls_1_2,omitempty"`
}

// TLSVersion is a version of TLS that was tried.
type TLSVersion struct {
	Version  string `json:"version"`
	Accepted bool   `json:"accepted"`
	Cipher   string `json:"cipher,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Certificate is that of the server.
type Certificate struct {
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Names   []string  `json:"names"`
	Key     string    `json:"key"`
	From    time.Time `json:"valid_from"`
	Until   time.Time `json:"valid_until"`
	// Pin is the form that tls_pin takes.
	Pin string `json:"pin"`
	// Pinned: the configuration holds the pin. Trusted: an authority that is trusted here has
	// signed it, for this name and this day; else Why tells why not.
	Pinned  bool   `json:"pinned"`
	Trusted bool   `json:"trusted"`
	Why     string `json:"not_trusted_because,omitempty"`
}

// Channels are the ways of data connections.
type Channels struct {
	Folder string `json:"folder"`
	Ways   []Way  `json:"ways"`
}

// Way is what came of one way of data connections.
type Way struct {
	Way     string `json:"way"`
	Works   bool   `json:"works"`
	Took    Span   `json:"seconds"`
	Resumed bool   `json:"tls_resumed"`
	// Target was dialled or announced, Listened is where this machine waited.
	Target   string `json:"target,omitempty"`
	Listened string `json:"listened,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Reply    string `json:"reply,omitempty"`
	// Cure is what to do about a way that does not work.
	Cure string `json:"cure,omitempty"`
}

// Outside is who this machine is outside of its network.
type Outside struct {
	Local   string   `json:"local"`
	Server  string   `json:"server"`
	View    string   `json:"server_sees,omitempty"`
	From    string   `json:"server_sees_by,omitempty"`
	Sources []Source `json:"sources"`
	// Address is the one to announce, by the word of Best; "" when nobody knows a public one.
	Address string `json:"address,omitempty"`
	Best    string `json:"best_source,omitempty"`
	// NAT is the kind of address translation on the way, "" when unknown.
	NAT string `json:"nat,omitempty"`
	// Ports is what the NAT does with local ports: kept, changed or random; "" when unknown.
	Ports string `json:"nat_ports,omitempty"`
	// Helper: a NAT reads along and rewrites addresses in commands (an application level gateway).
	Helper bool `json:"nat_helper"`
	// Mapper is the protocol by which the gateway opens ports, "" if it does not.
	Mapper  string   `json:"gateway_protocol,omitempty"`
	Network string   `json:"network,omitempty"`
	Notes   []string `json:"notes"`
}

// Source is what one source of external addresses says.
type Source struct {
	Source  string `json:"source"`
	Address string `json:"address,omitempty"`
	Port    uint16 `json:"port,omitempty"`
	Detail  string `json:"detail,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Scratch is the folder that features were tried in.
type Scratch struct {
	Folder  string `json:"folder,omitempty"`
	Made    bool   `json:"made"`
	Removed bool   `json:"removed"`
	// Error is why it could not be made or removed.
	Error string `json:"error,omitempty"`
}

// Verdict is what a feature is worth.
type Verdict string

// The verdicts.
const (
	// Works: it was tried and did what it has to.
	Works Verdict = "works"
	// Absent: the server does not do it, and says so.
	Absent Verdict = "absent"
	// Broken: the server claims to do it and does something else.
	Broken Verdict = "broken"
	// Unknown: it could not be tried.
	Unknown Verdict = "unknown"
)

// Feature is what came of one probe.
type Feature struct {
	Key     string  `json:"feature"`
	Title   string  `json:"-"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail,omitempty"`
	// Value is a number, a text or a list, where the feature has one.
	Value any  `json:"value,omitempty"`
	Took  Span `json:"seconds"`
}

// feature returns the feature of that key, and false when it was not looked at.
func (r *Report) feature(key string) (Feature, bool) {
	for _, f := range r.Features {
		if f.Key == key {
			return f, true
		}
	}
	return Feature{}, false
}

// Setting is a line of agent.toml that is recommended.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"` // as in TOML
	Why   string `json:"why"`
	// Ask: a person has to decide, so it stands in TOML as a comment.
	Ask bool `json:"ask"`
}

// Span is a time that something took. In JSON it is a number of seconds.
type Span time.Duration

// MarshalJSON implements json.Marshaler.
func (s Span) MarshalJSON() ([]byte, error) {
	return json.Marshal(math.Round(time.Duration(s).Seconds()*1e4) / 1e4)
}

// String is short: "12 ms", "1.4 s".
func (s Span) String() string {
	d := time.Duration(s)
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return "<1ms"
}
