package ftpclient

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

func (c *Conn) login(ctx context.Context, loggedIn bool) error {
	if c.loginsAtOnce() {
		return c.loginAtOnce(ctx, loggedIn)
	}
	if !loggedIn {
		if err := c.authenticate(ctx); err != nil {
			return err
		}
	}
	if err := c.readFeatures(ctx); err != nil {
		return err
	}
	if err := c.introduce(ctx); err != nil {
		return err
	}
	if c.tls != nil {
		if err := c.protectData(ctx); err != nil {
			return err
		}
	}
	reply, err := c.do(ctx, "login", "", "PWD", "")
	if err != nil {
		return err
	}
	if err := c.hearFolder(reply); err != nil {
		return err
	}
	if reply, err = c.do(ctx, "login", "", "TYPE", "I"); err != nil {
		return err
	}
	if err := c.hearType(reply); err != nil {
		return err
	}
	c.facts.BrokeOff = ""
	return nil
}

func (c *Conn) hearFolder(reply control.Reply) error {
	if reply.Code < 500 && !reply.Completed() {
		// For the moment: to take another folder for the one of the login would move all relative paths.
		return c.refusal("login", "", "PWD", reply)
	}
	return c.arrive(parsePWD(reply))
}

func (c *Conn) hearType(reply control.Reply) error {
	if !reply.Completed() {
		return c.refusal("login", "", "TYPE", reply)
	}
	return nil
}

// authenticate sends HOST, USER, PASS and ACCT, as far as the server asks for them (RFC 959
// section 6, RFC 7151). A server may be content after USER (230, 232) or PASS (230, 202).
func (c *Conn) authenticate(ctx context.Context) error {
	if c.options.VirtualHost != "" {
		if err := c.chooseHost(ctx); err != nil {
			return err
		}
	}
	verb := "USER"
	reply, err := c.do(ctx, "login", "", verb, c.options.User)
	if err != nil {
		return err
	}
	if reply.Intermediate() && reply.Code != needAccount {
		verb = "PASS"
		if reply, err = c.doSecret(ctx, "login", verb, c.options.Password); err != nil {
			return err
		}
	}
	if reply.Code == needAccount && c.options.Account != "" {
		verb = "ACCT"
		if reply, err = c.doSecret(ctx, "login", verb, c.options.Account); err != nil {
			return err
		}
	}
	if !reply.Completed() {
		return c.refusal("login", "", verb, reply)
	}
	c.hearWelcome(reply)
	return nil
}

// needAccount is the reply to USER or PASS that asks for ACCT.
const needAccount = 332

// masked takes what is secret out of a reply: servers repeat what they do not understand.
func (c *Conn) masked(reply control.Reply) control.Reply {
	lines := slices.Clone(reply.Lines)
	for i := range lines {
		lines[i] = control.Mask(control.Mask(lines[i], c.options.Password), c.options.Account)
	}
	return control.Reply{Code: reply.Code, Lines: lines}
}

// chooseHost names the virtual host. Over TLS the server knows it already (server name
// indication), so that it need not know the command.
func (c *Conn) chooseHost(ctx context.Context) error {
	reply, err := c.do(ctx, "login", "", "HOST", c.options.VirtualHost)
	if err != nil {
		return err
	}
	if reply.Completed() {
		return nil
	}
	e := c.refusal("login", "", "HOST", reply)
	switch reply.Code {
	case 500, 502, 530: // vsftpd and Pure-FTPd answer whatever comes before USER with 530
		if c.tls != nil {
			return nil
		}
		e.Err = fmt.Errorf("%w: the command HOST, by which the virtual host %q is chosen", ErrUnsupported, c.options.VirtualHost)
	default:
		e.Err = fmt.Errorf("the virtual host %q was refused", c.options.VirtualHost)
	}
	return e
}

// readFeatures asks FEAT after the login, because servers change the list with it.
func (c *Conn) readFeatures(ctx context.Context) error {
	reply, err := c.wish(ctx, "FEAT", "")
	if err != nil {
		return err
	}
	c.hearFeatures(reply)
	return nil
}

func (c *Conn) hearFeatures(reply control.Reply) {
	c.features = Features{}
	if reply.Completed() {
		c.features = parseFeatures(reply.Lines)
	}
	if c.facts.Server == "" {
		c.facts.Server = serverKindByFeatures(c.features)
	}
	c.utf8 = c.features.Has("UTF8")
}

// saysUTF8 are servers that do not list UTF8 but agree to OPTS UTF8 ON.
var saysUTF8 = []string{"vsftpd"}

// introduce tells the server about this client and how it wants names, facts and texts. All
// of it is a wish: refusals are no matter.
func (c *Conn) introduce(ctx context.Context) error {
	if c.features.Has("CLNT") { // first, because some servers do UTF-8 only behind it
		if _, err := c.wish(ctx, "CLNT", c.options.ClientName); err != nil {
			return err
		}
	}
	if c.wantsUTF8() {
		// Two of the servers in use that list UTF8 have it on and refuse the command.
		reply, err := c.wish(ctx, "OPTS UTF8", "ON")
		if err != nil {
			return err
		}
		c.utf8 = c.utf8 || reply.Completed()
	}
	if facts := wantedFacts(c.features); facts != "" {
		if _, err := c.wish(ctx, "OPTS MLST", facts); err != nil {
			return err
		}
	}
	if language := wantedLanguage(c.features); language != "" {
		if _, err := c.wish(ctx, "LANG", language); err != nil {
			return err
		}
	}
	return c.askSystem(ctx)
}

func (c *Conn) wantsUTF8() bool {
	return c.options.wantsUTF8() && (c.features.Has("UTF8") || slices.Contains(saysUTF8, c.facts.Server))
}

// unixServers need no SYST: their listings have one form.
var unixServers = []string{"vsftpd", "proftpd", "pure-ftpd", "pyftpdlib"}

// askSystem asks for the hint by which LIST is read, where it will be used. Many servers say
// UNIX and do not mean it.
func (c *Conn) askSystem(ctx context.Context) error {
	if !c.needsSystem() {
		return nil
	}
	reply, err := c.wish(ctx, "SYST", "")
	if err == nil {
		c.hearSystem(reply)
	}
	return err
}

func (c *Conn) needsSystem() bool {
	if c.features.Has("MLST") || c.features.Has("MLSD") {
		return false
	}
	if slices.Contains(unixServers, c.facts.Server) {
		c.system = "UNIX"
		return false
	}
	return true
}

func (c *Conn) hearSystem(reply control.Reply) {
	if !reply.Completed() {
		return
	}
	c.system = reply.Last()
	if c.facts.Server == "" {
		c.facts.Server = systems.of(c.system)
	}
}

// wanted are the facts of RFC 3659 that are of use. Servers ignore the case of their names.
var wanted = []string{"type", "size", "modify", "unique", "unix.mode", "perm"}

// wantedFacts returns the argument of OPTS MLST, "" when what the server offers of the wanted
// facts is on by default, as a star tells (RFC 3659 section 7.8).
func wantedFacts(f Features) string {
	var ask strings.Builder
	missing := false
	for _, fact := range f.Parameters("MLST") {
		name, on := strings.CutSuffix(fact, "*")
		if slices.Contains(wanted, strings.ToLower(name)) {
			ask.WriteString(name + ";")
			missing = missing || !on
		}
	}
	if !missing {
		return ""
	}
	return ask.String()
}

// wantedLanguage returns the argument of LANG that makes texts English, as the patterns that
// read them are; "" where they are or cannot be (RFC 2640 section 4).
func wantedLanguage(f Features) string {
	choice := ""
	for _, offered := range f.Parameters("LANG") {
		tag, current := strings.CutSuffix(offered, "*")
		english := strings.EqualFold(tag, "en") || len(tag) > 3 && strings.EqualFold(tag[:3], "en-")
		if english && current {
			return ""
		}
		if english && choice == "" {
			choice = tag
		}
	}
	return choice
}

// protectData demands encrypted data connections (RFC 4217 sections 8 and 9). Servers with
// implicit TLS are asked as well: not all of them protect data unasked.
func (c *Conn) protectData(ctx context.Context) error {
	if _, err := c.do(ctx, "login", "", "PBSZ", "0"); err != nil {
		return err
	}
	reply, err := c.do(ctx, "login", "", "PROT", "P")
	if err != nil {
		return err
	}
	return c.hearProtection(reply)
}

func (c *Conn) hearProtection(reply control.Reply) error {
	if !reply.Completed() {
		e := c.refusal("login", "", "PROT", reply)
		e.Err = fmt.Errorf("%w: the server refuses PROT P", ErrInsecure)
		return e
	}
	return nil
}

// parsePWD takes the folder out of 257 "folder" text, as it is written there: on systems
// other than Unix it may be DISK:[USER] or 'USER.'. Quotes in the name are doubled by most
// servers and not by all, so an odd reading ends at the last quote of the line. Servers that
// write no quotes are understood if the name begins or ends like one.
func parsePWD(reply control.Reply) string {
	text := reply.Last()
	if !reply.Completed() {
		return "/"
	}
	open := strings.IndexByte(text, '"')
	if open < 0 {
		return bareFolder(text)
	}
	rest := text[open+1:]
	for i := 0; i < len(rest); i++ {
		if rest[i] != '"' {
			continue
		}
		if i+1 < len(rest) && rest[i+1] == '"' {
			i++
			continue
		}
		if i > 0 && (i+1 == len(rest) || rest[i+1] == ' ') {
			return strings.ReplaceAll(rest[:i], `""`, `"`)
		}
		break
	}
	if last := strings.LastIndexByte(rest, '"'); last > 0 {
		return rest[:last]
	}
	return "/"
}

// bareFolder reads a folder without quotes: /a/folder, or DISK:[USER] of VMS.
func bareFolder(text string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	if strings.HasPrefix(word, "/") || strings.Contains(word, ":[") && strings.HasSuffix(word, "]") {
		return word
	}
	return "/"
}
