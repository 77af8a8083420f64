package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// takeLoginAtOnce are servers that are known to answer a login in one write in order, with and without TLS.
var takeLoginAtOnce = []string{"vsftpd", "proftpd", "pure-ftpd", "pyftpdlib"}

// answersLate tells servers that answer a refused password behind what stands after it: pyftpdlib makes the client wait, and reads on.
// Nothing goes behind the password there before it was taken.
var answersLate = []string{"pyftpdlib"}

// What Facts.LoginAtOnce says.
const (
	loginFailed = "failed"
	loginBroke  = "broke"
)

// errNotAtOnce: a login in one write was answered in a way that says nothing. It is tried once more, command by command.
var errNotAtOnce = errors.New("the login in one write was not answered in order")

// loginsAtOnce decides whether the login goes in one write. Where an account or a virtual host comes in, replies decide what comes next.
func (c *Conn) loginsAtOnce() bool {
	o, f := c.options, c.facts
	known := slices.Contains(takeLoginAtOnce, f.Server)
	return o.VirtualHost == "" && o.Account == "" && f.LoginAtOnce != loginBroke && f.Pipelining != "no" && f.BrokeOff == "" &&
		(known || f.Pipelining == "yes")
}

// loginStep is a command of a login in one write: fits tells whether a reply can be one to it, and take makes use of that.
type loginStep struct {
	verb, argument string
	secret         bool
	fits           func(control.Reply) bool
	take           func(control.Reply) error
}

// loginAtOnce is login in one write, or in two where it is not known from the last time what the server will be asked for behind FEAT.
// Nothing of it is sent before TLS is there. No command depends on how one before it is answered, but for their use: who is not
// let in has asked in vain, and the first refusal that counts is the error.
func (c *Conn) loginAtOnce(ctx context.Context, loggedIn bool) error {
	var steps []loginStep
	if !loggedIn {
		in := false
		steps = c.credentialSteps(&in)
		if c.tls == nil {
			// A server that demands TLS says so to USER: the password must not be on the line by then, for all to read.
			if err := c.exchange(ctx, steps[:1]); err != nil {
				return err
			}
			if steps = steps[1:]; in {
				steps = nil
			}
		}
		if slices.Contains(answersLate, c.facts.Server) {
			if err := c.exchange(ctx, steps); err != nil {
				return err
			}
			steps = nil
		}
	}
	steps = append(steps, c.featureStep())
	guessed, known := c.rememberedWishes()
	steps = append(steps, c.wishSteps(guessed)...)
	if c.tls != nil {
		steps = append(steps, c.protectionSteps()...)
	}
	if known {
		steps = append(steps, c.arrivalSteps()...)
	}
	if err := c.exchange(ctx, steps); err != nil {
		return err
	}
	wanted := c.wishList()
	left := slices.DeleteFunc(slices.Clone(wanted), func(wish string) bool { return slices.Contains(guessed, wish) })
	if !known || len(left) > 0 { // behind the wishes, as UTF-8 makes a difference to the folder
		if err := c.exchange(ctx, append(c.wishSteps(left), c.arrivalSteps()...)); err != nil {
			return err
		}
	}
	c.facts.LoginWishes = noWishes
	if len(wanted) > 0 {
		c.facts.LoginWishes = strings.Join(wanted, wishSeparator)
	}
	c.facts.LoginAtOnce, c.facts.Pipelining = "", "yes"
	return nil
}

// exchange writes the steps in one piece and takes what comes in order. It ends with the first reply that is an error, so that a server
// that hangs up behind a refusal has been understood.
func (c *Conn) exchange(ctx context.Context, steps []loginStep) error {
	var commands []control.Command
	for _, step := range steps {
		command, err := control.NewCommand(step.verb, step.argument)
		if err == nil && command.Len() > c.options.CommandLimit {
			err = fmt.Errorf("%w: command of %d bytes, the limit is %d", ErrUnsendable, command.Len(), c.options.CommandLimit)
		}
		if err != nil && step.secret {
			err = fmt.Errorf("%w: the argument of %s holds a line end or is too long", ErrUnsendable, step.verb)
		}
		if err != nil {
			return &Error{Op: "login", Err: err}
		}
		if step.secret {
			command = command.Secret()
		}
		commands = append(commands, command)
	}
	calls, err := c.control.SendGroup(ctx, commands)
	if err != nil {
		c.kill()
		return c.connectionError("login", "", err)
	}
	for i, call := range calls {
		reply, err := c.awaitCall(ctx, call)
		if err != nil {
			c.kill()
			e := c.connectionError("login", "", err)
			if !errors.Is(err, ErrClosing) {
				e.Err = fmt.Errorf("%w: %w", errNotAtOnce, e.Err)
			}
			return e
		}
		if !steps[i].fits(reply) {
			c.kill()
			return &Error{Op: "login", Err: fmt.Errorf("%w: %w: %s was answered with %s", errNotAtOnce, ErrDesync, steps[i].verb, c.masked(reply))}
		}
		if err := steps[i].take(reply); err != nil {
			return err
		}
	}
	return nil
}

// credentialSteps are USER and PASS. The password goes along whether it will be asked for or not; where the user alone was let in, how
// it is answered is no matter. in becomes true then.
func (c *Conn) credentialSteps(in *bool) []loginStep {
	return []loginStep{
		{
			verb: "USER", argument: c.options.User,
			fits: func(r control.Reply) bool { return r.Code == 230 || r.Code == 232 || r.Intermediate() || r.Code >= 400 },
			take: func(r control.Reply) error {
				*in = r.Completed()
				switch {
				case r.Code == needAccount || r.Code >= 400:
					return c.refusal("login", "", "USER", r)
				case *in:
					c.hearWelcome(r)
				}
				return nil
			},
		},
		{
			verb: "PASS", argument: c.options.Password, secret: true,
			fits: func(r control.Reply) bool {
				return *in || r.Code == 230 || r.Code == 202 || r.Code == 232 || r.Intermediate() || r.Code >= 400
			},
			take: func(r control.Reply) error {
				if *in {
					return nil
				}
				if !r.Completed() {
					return c.refusal("login", "", "PASS", r)
				}
				c.hearWelcome(r)
				return nil
			},
		},
	}
}

func (c *Conn) featureStep() loginStep {
	return loginStep{
		verb: "FEAT",
		fits: func(r control.Reply) bool { return r.Code == 211 || r.Code >= 400 },
		take: func(r control.Reply) error {
			c.hearFeatures(r)
			return nil
		},
	}
}

// simple is a reply that no question has.
func simple(r control.Reply) bool { return r.Completed() && r.Code != 257 || r.Code >= 400 }

func (c *Conn) protectionSteps() []loginStep {
	return []loginStep{
		{verb: "PBSZ", argument: "0", fits: simple, take: func(control.Reply) error { return nil }},
		{verb: "PROT", argument: "P", fits: simple, take: c.hearProtection},
	}
}

func (c *Conn) arrivalSteps() []loginStep {
	return []loginStep{
		{verb: "PWD", fits: func(r control.Reply) bool { return r.Code == 257 || r.Code >= 400 }, take: c.hearFolder},
		{verb: "TYPE", argument: "I", fits: simple, take: c.hearType},
	}
}

const (
	// wishSeparator stands between the wishes of Facts.LoginWishes: no argument of them holds one.
	wishSeparator = "|"
	// noWishes is what stands there of a server of which nothing is wished, as opposed to one of which nothing is known.
	noWishes = "none"
)

// rememberedWishes are those of the last login.
func (c *Conn) rememberedWishes() (wishes []string, known bool) {
	switch text := c.facts.LoginWishes; text {
	case "":
		return nil, false
	case noWishes:
		return nil, true
	default:
		return strings.Split(text, wishSeparator), true
	}
}

// wishList is what introduce would ask of a server with these features, as commands. The name of this client is put in when it is sent.
func (c *Conn) wishList() []string {
	var list []string
	add := func(command, argument string) {
		if !slices.Contains(strings.Split(c.facts.LeftOut, ","), command) {
			list = append(list, strings.TrimSpace(command+" "+argument))
		}
	}
	if c.features.Has("CLNT") {
		add("CLNT", "")
	}
	if c.wantsUTF8() {
		add("OPTS UTF8", "ON")
	}
	if facts := wantedFacts(c.features); facts != "" {
		add("OPTS MLST", facts)
	}
	if language := wantedLanguage(c.features); language != "" {
		add("LANG", language)
	}
	if c.needsSystem() {
		add("SYST", "")
	}
	return list
}

// wishSteps are the commands for wishes of wishList. All of them may be refused.
func (c *Conn) wishSteps(wishes []string) []loginStep {
	var steps []loginStep
	for _, wish := range wishes {
		verb, argument, _ := strings.Cut(wish, " ")
		step := loginStep{verb: verb, argument: argument, fits: simple, take: func(control.Reply) error { return nil }}
		switch {
		case wish == "CLNT":
			step.argument, step.secret = c.options.ClientName, true
		case wish == "OPTS UTF8 ON":
			step.take = func(r control.Reply) error {
				c.utf8 = c.utf8 || r.Completed()
				return nil
			}
		case wish == "SYST":
			step.take = func(r control.Reply) error {
				c.hearSystem(r)
				return nil
			}
		}
		steps = append(steps, step)
	}
	return steps
}
