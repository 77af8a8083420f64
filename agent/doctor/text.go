package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	width  = 80
	column = 15 // of what stands behind a label
)

// Text is the report for people, in lines of 80 columns where words allow it. It is pure.
func (r Report) Text() string {
	p := &page{}
	p.line("%s  %s", r.Server, r.Address)
	r.reachText(p)
	r.tlsText(p)
	r.channelsText(p)
	r.outsideText(p)
	r.featuresText(p)
	if len(r.Notes) > 0 {
		p.head("Worth knowing")
		for _, note := range r.Notes {
			p.item("-", note)
		}
	}
	r.problemsText(p)
	if r.Reach.LoggedIn && r.Outcome != Interrupted || len(r.Settings) > 0 {
		p.head("Recommended settings")
		if len(r.Settings) == 0 {
			p.item("", "as they are: nothing has to be set for this server but what is")
		} else {
			p.line("")
			for text := range strings.Lines(r.TOML) {
				p.line("  %s", strings.TrimRight(text, "\n"))
			}
		}
	}
	return p.String()
}

func (r Report) reachText(p *page) {
	reach := r.Reach
	p.head("Reachability")
	label := "address"
	for _, a := range reach.Addresses {
		switch {
		case a.Connected:
			p.field(label, "%s  connected in %s", a.Address, a.Took)
		case a.Tried:
			p.field(label, "%s  %s", a.Address, a.Error)
		default:
			p.field(label, "%s", a.Address)
		}
		label = ""
	}
	if len(reach.Addresses) == 0 && reach.Proxy == "" {
		p.field(label, "none is known")
	}
	if reach.Proxy != "" {
		p.field("proxy", "%s, which looks up the name of the server", reach.Proxy)
	}
	if reach.Greeting != "" {
		p.field("greeting", "%s", reach.Greeting)
	}
	if reach.Kind != "" {
		p.field("server", "%s", reach.Kind)
	}
	if !reach.LoggedIn {
		return
	}
	p.field("login", "as %s, accepted after %s; the folder is %s", reach.User, reach.LoginTook, reach.Home)
	if reach.RoundTrip > 0 {
		p.field("round trip", "%s", reach.RoundTrip)
	}
	var listed []string
	for _, feature := range reach.Listed {
		name, _, _ := strings.Cut(feature, " ")
		listed = append(listed, name)
	}
	if len(listed) > 0 {
		p.field("lists", "%s", strings.Join(listed, " "))
	}
}

func (r Report) tlsText(p *page) {
	t := r.TLS
	if t == nil {
		if r.Reach.LoggedIn {
			p.head("TLS")
			p.item("", "not used, and not offered: password and files cross the network in clear")
		}
		return
	}
	if t.Offered {
		p.head("TLS")
		p.item("", "not used, although the server offers it: password and files cross the network in clear")
	} else {
		p.head("TLS (" + t.Mode + ")")
	}
	label := "versions"
	for _, v := range t.Versions {
		if v.Accepted {
			p.field(label, "%s  %s", v.Version, v.Cipher)
		} else {
			p.field(label, "%s  no: %s", v.Version, v.Error)
		}
		label = ""
	}
	if c := t.Certificate; c != nil {
		c.text(p)
	}
	if t.Resumes != nil || t.Required != nil {
		p.field("data", "%s", t.resumptionText())
	}
}

func (c *Certificate) text(p *page) {
	p.field("certificate", "%s, %s", c.Subject, c.Key)
	p.field("  names", "%s", strings.Join(c.Names, ", "))
	p.field("  issuer", "%s", c.Issuer)
	p.field("  valid", "%s to %s", c.From.Format(time.DateOnly), c.Until.Format(time.DateOnly))
	switch {
	case c.Pinned:
		p.field("  trusted", "by its pin in the configuration")
	case c.Trusted:
		p.field("  trusted", "by authority, name and date")
	default:
		p.field("  trusted", "NO: %s", c.Why)
	}
	p.field("  pin", "%s", c.Pin)
}

func (t *TLS) resumptionText() string {
	var parts []string
	if t.Resumes != nil {
		parts = append(parts, map[bool]string{true: "data connections resume the session", false: "data connections do not resume the session"}[*t.Resumes])
	}
	if t.Required != nil {
		parts = append(parts, map[bool]string{true: "the server demands resumption", false: "the server does not demand resumption"}[*t.Required])
	}
	if t.RequiredReply != "" {
		parts = append(parts, `else it says "`+t.RequiredReply+`"`)
	}
	return strings.Join(parts, "; ")
}

func (r Report) channelsText(p *page) {
	if r.Channels == nil {
		return
	}
	p.head("Data connections")
	if len(r.Channels.Ways) == 0 {
		p.item("", "none was tried")
	}
	any := slices.ContainsFunc(r.Channels.Ways, func(w Way) bool { return w.Works })
	for _, w := range r.Channels.Ways {
		detail := w.Target
		switch {
		case w.Works && w.Resumed:
			detail += ", TLS session resumed"
		case !w.Works && w.Target != "":
			detail += ": " + w.Reason
		case !w.Works:
			detail = w.Reason
		}
		p.verdict(mark(w.Works, any), fmt.Sprintf("%-17s %6s", w.Way, w.Took), detail, 26)
	}
}

// mark is of a way. One that does not work is no misfortune where any does.
func mark(works, any bool) string {
	switch {
	case works:
		return "ok"
	case any:
		return "no"
	}
	return "FAIL"
}

func (r Report) outsideText(p *page) {
	o := r.Outside
	if o == nil {
		return
	}
	p.head("External address")
	p.field("this machine", "%s", strings.TrimSpace(o.Local+"  "+o.Network))
	if o.View != "" {
		p.field("server sees", "%s  (%s)", o.View, o.From)
	} else {
		p.field("server sees", "it does not tell")
	}
	for _, s := range o.Sources {
		switch {
		case s.Source == "server" || s.Source == "interface":
		case s.Error != "":
			p.field(s.Source, "%s", s.Error)
		case s.Detail != "":
			p.field(s.Source, "%s  (%s)", s.Address, s.Detail)
		default:
			p.field(s.Source, "%s", s.Address)
		}
	}
	p.field("NAT", "%s", o.natText())
	for _, note := range o.Notes {
		p.item("-", note)
	}
}

func (o *Outside) natText() string {
	text := o.NAT
	if text == "" {
		text = "unknown"
	}
	if o.Ports != "" {
		text += ", local ports " + o.Ports
	}
	if o.Helper {
		text += ", which reads FTP and rewrites addresses (a helper)"
	}
	if o.Mapper != "" {
		text += "; the gateway opens ports by " + o.Mapper
	}
	return text
}

var marks = map[Verdict]string{Works: "ok", Absent: "no", Broken: "FAIL", Unknown: "?"}

func (r Report) featuresText(p *page) {
	if len(r.Features) == 0 {
		return
	}
	p.head("Features")
	switch s := r.Scratch; {
	case s == nil:
	case s.Folder != "" && s.Removed:
		p.item("", "tried in "+s.Folder+", which is gone again")
	case s.Folder != "":
		p.item("", "tried in "+s.Folder+", WHICH IS STILL THERE")
	case s.Error != "":
		p.item("", "no folder to try them in: "+s.Error)
	}
	var reasons []string
	untried := map[string][]string{} // titles by reason
	for _, f := range r.Features {
		if reason, isUntried := strings.CutPrefix(f.Detail, notTried); isUntried {
			if untried[reason] == nil {
				reasons = append(reasons, reason)
			}
			untried[reason] = append(untried[reason], f.Title)
			continue
		}
		p.verdict(marks[f.Verdict], f.Title, f.Detail, 31)
	}
	for _, reason := range reasons {
		p.hang("  ?     ", notTried+reason+": "+strings.Join(untried[reason], ", "), 8)
	}
}

func (r Report) problemsText(p *page) {
	if len(r.Problems) == 0 {
		p.head("Verdict: all is well")
		return
	}
	p.head(map[Outcome]string{
		NeedsPerson: "Verdict: this needs a person", Unavailable: "Verdict: the server is not available", Interrupted: "Verdict: interrupted",
	}[r.Outcome])
	for i, problem := range r.Problems {
		p.item(fmt.Sprintf("%d.", i+1), problem.What)
		if problem.Cure != "" {
			p.hang("     -> ", problem.Cure, 8)
		}
	}
}

// page is text in the making.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) {
	p.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (p *page) head(text string) { p.line("\n%s", text) }

// field is a label and a text that goes on below itself.
func (p *page) field(label, format string, args ...any) {
	p.hang(fmt.Sprintf("  %-*s", column-3, label)+" ", fmt.Sprintf(format, args...), column)
}

// item is a paragraph with a mark in front of it. Blocks of several lines keep their lines.
func (p *page) item(mark, text string) {
	first := "  "
	if mark != "" {
		first = fmt.Sprintf("  %-2s ", mark)
	}
	for i, part := range strings.Split(text, "\n") {
		// Lines of a block are indented by themselves, and go on below that.
		text := strings.TrimLeft(part, " ")
		indent := len(first) + len(part) - len(text)
		if i > 0 {
			p.hang(strings.Repeat(" ", indent), text, indent+4)
		} else {
			p.hang(first, text, indent)
		}
	}
}

// verdict is a mark, what it is about, and a detail from a column on.
func (p *page) verdict(mark, what, detail string, at int) {
	head := fmt.Sprintf("  %-4s  %s", mark, what)
	if detail == "" {
		p.line("%s", head)
		return
	}
	indent := 8 + at
	if utf8.RuneCountInString(head) >= indent {
		p.line("%s", head)
		head = ""
	}
	p.hang(fmt.Sprintf("%-*s", indent, head), detail, indent)
}

// hang writes head and text, with later lines of text indented.
func (p *page) hang(head, text string, indent int) {
	for i, part := range wrap(text, width-indent) {
		if i > 0 {
			head = strings.Repeat(" ", indent)
		}
		p.line("%s%s", head, part)
	}
}

// wrap breaks text into lines of at most so many characters; longer words stand alone.
// Several blanks between words stay, but for those at a break.
func wrap(text string, most int) []string {
	var lines []string
	for utf8.RuneCountInString(text) > most {
		cut, count := -1, 0
		for i, r := range text {
			if r == ' ' && count > 0 && (count <= most || cut < 0) {
				cut = i
			}
			if count++; count > most && cut >= 0 {
				break
			}
		}
		if cut < 0 {
			break
		}
		lines = append(lines, strings.TrimRight(text[:cut], " "))
		text = strings.TrimLeft(text[cut:], " ")
	}
	if text != "" {
		lines = append(lines, text)
	}
	return lines
}
