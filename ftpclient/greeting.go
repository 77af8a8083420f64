package ftpclient

import (
	"bufio"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// readGreeting reads 220 or 230, after any 120 ("ready in n minutes"). With an error, the
// reply is the last 120.
func readGreeting(br *bufio.Reader, o Options) (last control.Reply, err error) {
	for {
		reply, err := control.ReadReply(br)
		if err != nil {
			return last, err
		}
		o.Logger.Debug("reply", "code", reply.Code, "text", reply.Text())
		switch {
		case reply.Preliminary():
			last = reply
		case reply.Completed():
			if text := strings.ToUpper(reply.Text()); strings.Contains(text, "SMTP") && !strings.Contains(text, "FTP") {
				return reply, fmt.Errorf("%w: this is a mail server (SMTP): %q", ErrProtocol, shorten(reply.Last()))
			}
			return reply, nil
		default:
			return reply, replyError("connect", "", "", reply)
		}
	}
}

// kinds are words by which a server tells its kind, and the name of that in Facts.Server.
// The first that is found counts.
type kinds []struct{ says, kind string }

// servers are found in greetings, in front of whatever else an operator wrote there.
var servers = kinds{
	{"vsftpd", "vsftpd"},
	{"proftpd", "proftpd"},
	{"pure-ftpd", "pure-ftpd"},
	{"pyftpdlib", "pyftpdlib"},
	{"filezilla", "filezilla"},
	{"microsoft ftp service", "iis"},
	{"serv-u", "serv-u"},
	{"version wu-", "wu-ftpd"},
	{"wu-ftpd", "wu-ftpd"},
	{"glftpd", "glftpd"},
	{"drftpd", "drftpd"},
	{"ncftpd", "ncftpd"},
	{"bftpd", "bftpd"},
	{"cerberus", "cerberus"},
	{"gene6", "gene6"},
	{"ws_ftp", "wsftp"},
	{"titan ftp", "titan"},
	{"xlight", "xlight"},
	{"wing ftp", "wing"},
	{"crushftp", "crushftp"},
	{"globalscape", "globalscape"},
	{"completeftp", "completeftp"},
	{"bitvise", "bitvise"},
	{"sftpgo", "sftpgo"},
	{"apache ftpserver", "apache"},
	{"jscape", "jscape"},
	{"rumpus", "rumpus"},
	{"mikrotik", "mikrotik"},
	{"fritz!box", "fritzbox"},
	{"qtcp at", "os400"},
	{"ibm ftp cs", "mvs"},
	{"openvms", "vms"},
	{"multinet", "vms"},
	{"netpresenz", "netpresenz"},
}

// systems are found in answers to SYST. Most servers say UNIX, which says nothing.
var systems = kinds{
	{"windows_nt", "iis"},
	{"mvs is the operating system", "mvs"},
	{"z/os", "mvs"},
	{"z/vm", "zvm"},
	{"vm/esa", "zvm"},
	{"nonstop", "nonstop"},
	{"guardian", "nonstop"},
	{"os/2", "os2"},
	{"os/400", "os400"},
	{"vxworks", "vxworks"},
	{"netware", "netware"},
	{"vms", "vms"},
}

// of returns the kind that text tells, "" without one.
func (k kinds) of(text string) string {
	text = strings.ToLower(text)
	for _, s := range k {
		if strings.Contains(text, s.says) {
			return s.kind
		}
	}
	return ""
}

// serverKindByFeatures knows servers whose greeting was changed by what they alone list.
func serverKindByFeatures(f Features) string {
	switch {
	case f.Has("ESTA") && f.Has("ESTP"):
		return "pure-ftpd"
	case f.Has("CSID") && f.Has("SSCN") || f.HasParameter("SITE", "UTIME") && f.HasParameter("SITE", "RMDIR"):
		return "proftpd"
	}
	return ""
}

// idleTexts are how greetings and welcomes tell after how much idle time they hang up.
var idleTexts = []*regexp.Regexp{
	// Pure-FTPd: You will be disconnected after 15 minutes of inactivity.
	regexp.MustCompile(`(?i)\b(\d{1,6}) ?(second|minute|hour)s? of (?:inactivity|idle)`),
	regexp.MustCompile(`(?i)(?:idle|inactivity) ?time-?(?:out|limit):? (?:is |of |after |set to )?\b(\d{1,6}) ?(second|minute|hour)s?`),
}

// idleLimit reads the idle time after which the server says that it hangs up, 0 when it does
// not say.
func idleLimit(text string) time.Duration {
	units := map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour}
	for _, pattern := range idleTexts {
		if found := pattern.FindStringSubmatch(text); found != nil {
			n, _ := strconv.Atoi(found[1]) // it has six digits at most
			return time.Duration(n) * units[strings.ToLower(found[2])]
		}
	}
	return 0
}

// hearGreeting learns from the greeting.
func (c *Conn) hearGreeting(reply control.Reply) {
	if kind := servers.of(reply.Text()); kind != "" && kind != c.facts.Server {
		if c.facts.Server != "" {
			c.facts = Facts{} // another server has taken the place, about which nothing is known
		}
		c.facts.Server = kind
	}
	c.hearWelcome(reply)
}

// hearWelcome learns from any text for people, what kind of server they talk about aside.
func (c *Conn) hearWelcome(reply control.Reply) {
	if limit := idleLimit(reply.Text()); limit > 0 {
		c.facts.IdleLimit = Seconds(limit / time.Second)
	}
}
