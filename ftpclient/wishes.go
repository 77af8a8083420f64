package ftpclient

import (
	"context"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// wishes are the commands of a login that it could do without: FEAT, CLNT, OPTS, LANG and
// SYST. Old and small servers end the connection over what they do not know.
type wishes struct {
	asked   string // the one that has no reply yet
	refused string // the last one that was refused: some servers say so and then hang up
}

// wish sends a command that the login can do without, unless it is known to break it off.
func (c *Conn) wish(ctx context.Context, command, argument string) (control.Reply, error) {
	if slices.Contains(strings.Split(c.facts.LeftOut, ","), command) {
		return control.Reply{Code: 502, Lines: []string{"left out"}}, nil
	}
	verb, rest, _ := strings.Cut(command, " ")
	if rest != "" {
		argument = rest + " " + argument
	}
	c.wishes.asked = command
	send := func() (control.Reply, error) { return c.do(ctx, "login", "", verb, argument) }
	if verb == "CLNT" {
		send = func() (control.Reply, error) { return c.doSecret(ctx, "login", verb, argument) }
	}
	reply, err := send()
	if err == nil {
		c.wishes.asked = ""
	}
	if err == nil && reply.Code >= 400 {
		c.wishes.refused = command
	}
	return reply, err
}

// brokeOff learns from the end of the connection in the middle of a login. Once may be
// chance; the command that is to blame for two logins in a row is not sent any more. Where
// several can be, those that were refused come first, because nothing is lost with them.
func (w wishes) brokeOff(facts *Facts) {
	blamed := w.refused
	if blamed == "" {
		blamed = w.asked
	}
	if blamed != "" && facts.BrokeOff == blamed {
		facts.LeftOut = strings.TrimPrefix(facts.LeftOut+","+blamed, ",")
		blamed = ""
	}
	facts.BrokeOff = blamed
}
