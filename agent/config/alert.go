package config

import (
	"crypto/x509"
	"maps"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
)

// AlertWords are what on of an alert takes, and its default.
var AlertWords = []string{"halted", "dead", "server-down", "blocked", "full", "certificate", "missed-schedule", "degraded-watch", "absence", "conflict", "differs", "unknown", "configuration"}

// alertKinds are the keys that say how a message goes.
var alertKinds = []string{"webhook", "email", "command"}

// How an e-mail is protected on its way to the first server.
const (
	EmailSTARTTLS = "starttls" // or it is not sent
	EmailImplicit = "implicit" // TLS from the first byte
	EmailNone     = "none"
)

// Alert is a channel by which people are told of trouble. One of Webhook, Email and Command is set.
type Alert struct {
	Name    string
	Webhook *Webhook
	Email   *Email
	Command []string // program and arguments

	On             []string // some of AlertWords
	Syncs, Servers []string // by name, as in Config; none: all
	After          time.Duration
	Certificate    time.Duration
	Group          time.Duration // >= 0
	Remind         time.Duration // 0: never
	Limit          int           // messages an hour, >= 1
	Timeout        time.Duration // > 0; of one attempt
}

// Webhook is a URL that messages are sent to.
type Webhook struct {
	URL    Secret // http or https; empty with Config.WithoutSecrets
	Secret Secret // that messages are signed with; empty: they are not
}

// Email is how messages go by e-mail.
type Email struct {
	Host     string
	Port     int
	From     string
	To       []string // at least one
	User     string   // empty: no login
	Password Secret
	TLS      string         // an Email...
	RootCAs  *x509.CertPool // nil: those of the system
}

// Heartbeat is a URL that is asked for as long as all is well.
type Heartbeat struct {
	URL   Secret // empty: nobody is asked
	Every time.Duration
}

const (
	leastHeartbeat   = 10 * time.Second
	longestHeartbeat = day
	mostMessages     = 1000
)

func (l *loader) heartbeat(at key, file rawHeartbeat) Heartbeat {
	if file.URL.isEmpty() {
		return Heartbeat{}
	}
	if every := time.Duration(file.Every); every < leastHeartbeat || every > longestHeartbeat {
		l.fail(at.child("every"), `%s is out of range: write "10s" to "1d"`, every)
	}
	return Heartbeat{URL: l.secretURL(at.child("url"), file.URL), Every: time.Duration(file.Every)}
}

// secretURL is one that may hold a token, as those of chats do.
func (l *loader) secretURL(at key, file rawSecret) Secret {
	if file.Netrc {
		l.fail(at, "a .netrc holds no URLs: write one of env, file, credential, command and keyring")
		return Secret{}
	}
	value := l.secret(at, "URL", file, login{})
	text := value.Reveal()
	if text == "" {
		return value
	}
	if address, err := url.Parse(text); err != nil || address.Scheme != "https" && address.Scheme != "http" || address.Host == "" {
		l.fail(at, `is not a URL that begins with "https://" or "http://" and a host`) // and is not shown: it may be a secret
	}
	return value
}

func (l *loader) alerts(file map[string]*rawAlert, cfg *Config) map[string]*Alert {
	var alerts map[string]*Alert
	for name, raw := range file {
		if alerts == nil {
			alerts = map[string]*Alert{}
		}
		if at := (key{"alert", name}); !l.faults[at.id()] {
			alerts[name] = l.alert(at, name, raw, cfg)
		}
	}
	now := time.Now()
	for _, sync := range cfg.Syncs {
		for _, e := range sync.Expects {
			if from, by := e.Window(now); by.Sub(from) > cfg.Agent.History.Keep {
				l.fail(key{"sync", sync.Family, "expect"}, "%q counts what has arrived in %s, and the history is kept for %s: write a longer agent.history.keep",
					e.Name, by.Sub(from), cfg.Agent.History.Keep)
			}
		}
	}
	return alerts
}

func (l *loader) alert(at key, name string, file *rawAlert, cfg *Config) *Alert {
	a := &Alert{
		Name: name, On: file.On,
		After:       l.duration(at.child("after"), file.After, 0),
		Certificate: l.duration(at.child("certificate"), file.Certificate, 0),
		Group:       l.duration(at.child("group"), file.Group, 0),
		Remind:      l.duration(at.child("remind"), duration(file.Remind), 0),
		Timeout:     l.duration(at.child("timeout"), file.Timeout, 1),
		Limit:       int(file.Limit),
	}
	if file.Limit < 1 || file.Limit > mostMessages {
		l.fail(at.child("limit"), "%d is out of range: write a number of messages an hour from 1 to %d", file.Limit, mostMessages)
	}
	if a.Remind > 0 && a.Remind < time.Minute {
		l.fail(at.child("remind"), `%s is too often: write "1m" or more, or "" for never`, a.Remind)
	}
	l.alertKind(at, a, file)
	for _, word := range file.On {
		l.oneOf(at.child("on"), word, AlertWords, false)
	}
	if len(file.On) == 0 {
		l.fail(at.child("on"), "is empty: nobody would be told of anything; remove it for all there is")
	}
	a.Servers = slices.Clone(file.Servers)
	for _, server := range file.Servers {
		if cfg.Servers[server] == nil {
			l.fail(at.child("servers"), "there is no [server.%s]", server)
		}
	}
	for _, wanted := range file.Syncs {
		before := len(a.Syncs)
		for _, sync := range slices.Sorted(maps.Keys(cfg.Syncs)) {
			if sync == wanted || cfg.Syncs[sync].Family == wanted {
				a.Syncs = append(a.Syncs, sync)
			}
		}
		if len(a.Syncs) == before {
			l.fail(at.child("syncs"), "there is no [sync.%s]", wanted)
		}
	}
	return a
}

// alertKind reads the one thing that says how the message goes.
func (l *loader) alertKind(at key, a *Alert, file *rawAlert) {
	var kinds []string
	isBroken := false
	for _, kind := range alertKinds {
		isBroken = isBroken || l.faults[at.child(kind).id()]
		if l.stands(at.child(kind)) {
			kinds = append(kinds, kind)
		}
	}
	switch {
	case len(kinds) == 0 && isBroken: // its line could not be read
		return
	case len(kinds) == 0:
		l.fail(at, `says nobody whom to tell: write webhook = { url = "https://..." }, email = { ... } or command = ["program"]`)
		return
	case len(kinds) > 1:
		l.fail(at, "has both %s and %s: write one [alert.NAME] for each", kinds[0], kinds[1])
		return
	}
	switch at := at.child(kinds[0]); kinds[0] {
	case "webhook":
		if file.Webhook.URL.isEmpty() && !l.faults[at.child("url").id()] {
			l.fail(at, `url is required, such as url = "https://chat.example.com/hook" or url = { file = "hook" }`)
			return
		}
		a.Webhook = &Webhook{URL: l.secretURL(at.child("url"), file.Webhook.URL)}
		if file.Webhook.Secret.Netrc {
			l.fail(at.child("secret"), "a .netrc holds none: write one of env, file, credential, command and keyring")
			return
		}
		if !file.Webhook.Secret.isEmpty() {
			a.Webhook.Secret = l.secret(at.child("secret"), "secret", file.Webhook.Secret, login{})
		}
	case "email":
		a.Email = l.email(at, file.Email)
	case "command":
		if a.Command = l.command(at, file.Command, false); len(file.Command) == 0 {
			l.fail(at, `names no program: write ["notify", "ops"]`)
		}
	}
}

func (l *loader) email(at key, file rawEmail) *Email {
	e := &Email{From: file.From, To: file.To, User: file.User, TLS: file.TLS}
	server := l.required(at, "server", file.Server, "mail.example.com:587")
	if host, port, err := net.SplitHostPort(server); err == nil {
		e.Host = host
		if e.Port, err = net.LookupPort("tcp", port); err != nil || e.Port == 0 {
			l.fail(at.child("server"), "%q has no port: write a number from 1 to 65535 behind the colon", server)
		}
	} else {
		e.Host = strings.Trim(server, "[]")
		e.Port = map[string]int{EmailSTARTTLS: 587, EmailImplicit: 465, EmailNone: 25}[file.TLS]
	}
	if strings.ContainsAny(e.Host, " /:@") && net.ParseIP(e.Host) == nil || hasControl(e.Host) {
		l.fail(at.child("server"), `%q is not a server: write "mail.example.com:587"`, server)
	}
	if from := l.required(at, "from", file.From, "ftpferry@example.com"); from != "" {
		l.mailbox(at.child("from"), from)
	}
	if len(file.To) == 0 {
		l.required(at, "to", "", "ops@example.com")
	}
	for _, to := range file.To {
		l.mailbox(at.child("to"), to)
	}
	if hasControl(file.User) {
		l.fail(at.child("user"), "%q contains a control character", file.User)
	}
	switch {
	case file.User == "" && !file.Password.isEmpty():
		l.fail(at.child("password"), "has no meaning without user: write user, or remove it")
	case file.User != "" && file.Password.isEmpty():
		l.fail(at.child("user"), "has no meaning without password: write password, or remove it")
	case file.User != "" && file.TLS == EmailNone:
		l.fail(at.child("tls"), `"none" would show the password to everybody on the way: write "starttls" or "implicit", or leave user and password out`)
	case file.User != "":
		e.Password = l.secret(at.child("password"), "password", file.Password, login{host: e.Host, user: file.User})
	}
	e.RootCAs = l.authorities(at.child("tls_ca"), l.path(at.child("tls_ca"), file.TLSCA))
	return e
}

func (l *loader) mailbox(at key, text string) {
	if _, err := mail.ParseAddress(text); err != nil || hasControl(text) {
		l.fail(at, `%q is not an address: write "ops@example.com" or "Operations <ops@example.com>"`, text)
	}
}
