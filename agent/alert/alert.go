// Package alert tells people of trouble, and when it is over. Its core decides what to tell when: values in, values out, see
// [Channel]. Around it are the ways by which messages go, see [Sender].
package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind says what a problem is about. What can be chosen are the words of config.AlertWords.
type Kind string

// The kinds of problems.
const (
	Halted        Kind = "halted"          // a guard has stopped a sync
	Dead          Kind = "dead"            // jobs wait for a person
	ServerDown    Kind = "server-down"     // a server cannot be used
	Blocked       Kind = "blocked"         // a server has refused the login
	Full          Kind = "full"            // a disk or a quota
	Certificate   Kind = "certificate"     // that of a server is about to expire
	Missed        Kind = "missed-schedule" // times of a schedule were left out; this is over when it is told
	Watch         Kind = "degraded-watch"  // not every change is noticed when it happens
	Absence       Kind = "absence"         // what had to be there by now is not
	Conflict      Kind = "conflict"        // both sides have changed, or something else on which a person has to decide
	Differs       Kind = "differs"         // a comparison of contents has found files that are not the same on both sides
	Unknown       Kind = "unknown"         // paths that nobody can look at
	Configuration Kind = "configuration"   // the one on disk is not in force, or not all of it
	Stopped       Kind = "stopped"         // the agent itself; told by every channel
	Test          Kind = "test"            // nothing is wrong; told by every channel
)

// Problem is something that is wrong at this moment.
type Problem struct {
	// Key names it: as long as the same problem lasts it has the same one, and no other has it.
	Key  string `json:"key"`
	Kind Kind   `json:"kind"`
	// Sync and Server are what it is about. Of a server, Users are the syncs that use it.
	Sync   string   `json:"sync,omitempty"`
	Server string   `json:"server,omitempty"`
	Users  []string `json:"-"`
	// Text says what is wrong, for people, in one line.
	Text string `json:"text"`
	// Cure is what a person can do about it or has to know, in one line; "" for nothing.
	Cure string `json:"cure,omitempty"`
	// Since is when it began, as far as anybody knows.
	Since time.Time `json:"since"`
	// Grade goes up when it becomes worse in a way that has to be told again.
	Grade int `json:"grade,omitempty"`
	// Ends is, of a certificate, when it expires.
	Ends time.Time `json:"ends,omitzero"`
}

// Sight is how things stand at one moment.
type Sight struct {
	Problems []Problem
	// Unsure are the keys of those that nobody can judge now: what was told of them still holds.
	Unsure map[string]bool
}

// Event says what an [Item] tells.
type Event string

// The events.
const (
	EventProblem   Event = "problem"
	EventWorse     Event = "worse"
	EventReminder  Event = "reminder"
	EventRecovered Event = "recovered"
	EventNotice    Event = "notice" // of something that does not last
)

// Item is one thing that a message tells.
type Item struct {
	Event Event `json:"event"`
	Problem
	// Until is, of what is over, when that was noticed.
	Until time.Time `json:"until,omitzero"`
}

// String is one line.
func (i Item) String() string {
	about := strings.Join(slices.DeleteFunc([]string{prefixed("sync ", i.Sync), prefixed("server ", i.Server)}, isEmpty), ", ")
	if about != "" {
		about += ": "
	}
	switch i.Event {
	case EventRecovered:
		return fmt.Sprintf("over, after %s: %s%s", duration(i.Until.Sub(i.Since)), about, i.Text)
	case EventReminder:
		return fmt.Sprintf("still, since %s: %s%s", i.Since.Format(time.RFC3339), about, i.WithCure())
	case EventWorse:
		return "worse: " + about + i.WithCure()
	}
	return about + i.WithCure()
}

// WithCure is the text and what can be done about it, in one line.
func (p Problem) WithCure() string {
	text := strings.TrimRight(p.Text, " .")
	if p.Cure == "" {
		return text
	}
	return text + "; " + p.Cure
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func isEmpty(text string) bool { return text == "" }

func duration(d time.Duration) string { return max(d, 0).Round(time.Second).String() }

// FormatVersion is that of the form in which a [Message] is written as JSON. It goes up when a reader of the form before could
// go wrong; more keys may come at any time.
const FormatVersion = 1

// Message is what is sent by one channel at one time. It is written as JSON as docs/ALERTS.md has it.
type Message struct {
	Format int `json:"format"`
	// ID tells messages apart; one that is sent again as it is has the same one.
	ID   string    `json:"id"`
	When time.Time `json:"when"`
	Host string    `json:"host"`
	// Channel is the NAME of [alert.NAME].
	Channel string `json:"channel"`
	Summary string `json:"summary"` // one line
	Items   []Item `json:"items"`
	// More is how many are left out, as there were too many.
	More int `json:"more,omitempty"`
	// Open is how many problems have been told by this channel, this message included, and are not over.
	Open int `json:"open"`
}

// summaryOf is one line about all items.
func summaryOf(items []Item, more int) string {
	if len(items) == 0 {
		return ""
	}
	text := items[0].String()
	if rest := len(items) - 1 + more; rest > 0 {
		text += fmt.Sprintf(" (and %d more)", rest)
	}
	return oneLine(text, longestSummary)
}

// Text is the message for people to read.
func (m Message) Text() string {
	var b strings.Builder
	for _, item := range m.Items {
		fmt.Fprintf(&b, "* %s\n", item)
	}
	if m.More > 0 {
		fmt.Fprintf(&b, "* and %d more\n", m.More)
	}
	fmt.Fprintf(&b, "\nftpferry on %s, %s", m.Host, m.When.Format(time.RFC1123Z))
	if m.Open > 0 {
		fmt.Fprintf(&b, ", %d open\n\"ftpferry status\" says how everything stands.", m.Open)
	}
	return b.String() + "\n"
}

// The limits of texts, in bytes: servers have a hand in them.
const (
	longestSummary = 200
	longestText    = 1000
)

// oneLine is the text without line breaks and other control characters, and without its end if it is long.
func oneLine(text string, longest int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "..."
}
