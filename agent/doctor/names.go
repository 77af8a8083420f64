package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// listed reports whether the scratch folder shows a name.
func (e *examination) listed(ctx context.Context, conn *ftpclient.Conn, name string) (bool, ftpclient.Listing, error) {
	l, err := conn.List(ctx, e.scratch)
	if err != nil {
		return false, l, err
	}
	for _, entry := range l.Entries {
		if entry.Name == name {
			return true, l, nil
		}
	}
	return false, l, nil
}

func tryListing(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	found, l, err := e.listed(ctx, conn, sampleName)
	switch {
	case err != nil:
		_, text := e.failure(conn, err)
		return Broken, nil, text, nil
	case l.Incomplete != "":
		return Broken, l.Format, l.Incomplete, nil
	case !found:
		return Broken, l.Format, "a file that was just uploaded is not in it", nil
	}
	var parts []string
	if l.Format == "mlsd" {
		parts = append(parts, "MLSD")
	} else {
		parts = append(parts, "LIST in the form of "+l.Format)
		if zone := conn.Facts().ListZone; zone.Month != "" && zone.Offset != 0 {
			parts = append(parts, "its times are "+aheadOf(time.Duration(zone.Offset)*time.Second)+" UTC")
		}
	}
	if conn.Facts().MLSDBroken {
		parts = append(parts, "MLSD is listed and does not work")
	}
	for _, entry := range l.Entries {
		if entry.Name == sampleName && entry.Precision > 0 {
			parts = append(parts, "times to the "+precisionText(entry.Precision))
		}
	}
	return Works, l.Format, strings.Join(parts, ", "), nil
}

func precisionText(p time.Duration) string {
	switch {
	case p >= 24*time.Hour:
		return "day"
	case p >= time.Minute:
		return "minute"
	case p >= time.Second:
		return "second"
	}
	return "fraction of a second"
}

func aheadOf(d time.Duration) string {
	if d < 0 {
		return durationText(-d) + " behind"
	}
	return durationText(d) + " ahead of"
}

// tryClock compares the time of a fresh file with ours.
func tryClock(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	p := e.path("clock.txt")
	before := time.Now()
	if _, err := put(ctx, conn, p, []byte("now")); err != nil {
		return "", nil, "", err
	}
	written := before.Add(time.Since(before) / 2)
	told, err := conn.ModTime(ctx, p)
	if err != nil {
		return "", nil, "", err
	}
	if err := conn.LearnTimeZone(ctx, p, written); err != nil && !conn.Usable() {
		return "", nil, "", err
	}
	zone := time.Duration(conn.Facts().MDTMZone.Offset) * time.Second
	// What is told is cut to whole seconds.
	off := (told.Add(time.Second/2).Sub(written) - zone).Round(time.Second)
	detail := "right"
	if off.Abs() > 2*time.Second {
		detail = strings.TrimSuffix(aheadOf(off), " of")
	}
	if zone != 0 {
		detail += "; MDTM is in local time, " + aheadOf(zone) + " UTC, which is allowed for"
	}
	if off.Abs() > time.Minute {
		e.note("the clock of the server is %s: one of the two machines needs a time service", strings.TrimSuffix(aheadOf(off), " of"))
	}
	return Works, off.Seconds(), detail, nil
}

func tryPipelining(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	paths := slices.Repeat([]string{e.path(sampleName)}, 12)
	stats, err := conn.StatFiles(ctx, paths)
	if err != nil {
		return "", nil, "", err
	}
	for _, s := range stats {
		if s.Err != nil || !s.Found {
			return Unknown, nil, "the server does not tell about a file that is there", nil
		}
	}
	switch conn.Facts().Pipelining {
	case "yes":
		return Works, nil, "answered in order", nil
	case "no":
		return Absent, nil, "one command at a time", nil
	}
	return Unknown, nil, "", nil
}

func tryEncoding(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	name := "é-Ж-日.txt"
	if e.Server.Encoding != "" && e.Server.Encoding != "utf-8" {
		return Unknown, e.Server.Encoding, notTried + "encoding is set to " + e.Server.Encoding, nil
	}
	p := e.path(name)
	if _, err := put(ctx, conn, p, []byte(name)); err != nil {
		return "", nil, "", err
	}
	found, l, err := e.listed(ctx, conn, name)
	if err != nil {
		return "", nil, "", err
	}
	if !found {
		return Broken, conn.Facts().Encoding, "a name in UTF-8 is listed as another one: " + strangers(l), nil
	}
	if _, err := sizeOf(ctx, conn, p); err != nil {
		return Broken, conn.Facts().Encoding, "a file with a name in UTF-8 is listed and cannot be found: " + shortReply(err), nil
	}
	if err := conn.Remove(ctx, p); err != nil && !conn.Usable() {
		return "", nil, "", err
	}
	says := "the server does not say so in FEAT"
	if conn.Features().Has("UTF8") {
		says = "as the server says"
	}
	return Works, "utf-8", "UTF-8, " + says, nil
}

// strangers are the names beyond ASCII of a listing.
func strangers(l ftpclient.Listing) string {
	var names []string
	for _, entry := range l.Entries {
		if strings.ContainsFunc(entry.Name, func(r rune) bool { return r > 126 || r == '?' }) {
			names = append(names, fmt.Sprintf("%q", entry.Name))
		}
	}
	if len(names) == 0 {
		return "it is not there"
	}
	return strings.Join(names, ", ")
}

func tryCase(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	insensitive, err := conn.CaseInsensitive(ctx, e.path(sampleName))
	if err != nil {
		return "", nil, "", err
	}
	if insensitive {
		return Absent, false, "a and A are the same name", nil
	}
	return Works, true, "a and A are two names", nil
}

// dotName is one that servers may refuse, or hide.
const dotName = ".dot.txt"

func tryDotNames(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	if _, err := put(ctx, conn, e.path(dotName), []byte("dot")); err != nil {
		if !conn.Usable() || e.noRoom(err) {
			return "", nil, "", err
		}
		return Absent, nil, "refused: " + shortReply(err) + "; temporary files go without the dot", nil
	}
	found, l, err := e.listed(ctx, conn, dotName)
	if err != nil {
		return "", nil, "", err
	}
	if !found {
		return Works, "hidden", "taken, and left out of listings", nil
	}
	if l.Format != "mlsd" && conn.Facts().ListAll == "yes" {
		return Works, "listed", "taken, and listed by LIST -a", nil
	}
	return Works, "listed", "taken and listed", nil
}

// oddNames are one of each kind that servers are known to change.
var oddNames = []string{"blank ", " blank", "dot.", "control\x01x"}

func tryOddNames(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	var kept, changed []string
	for _, name := range oddNames {
		err := conn.KeepsName(ctx, e.scratch, name)
		what := ftpclient.OddName(name)
		switch {
		case errors.Is(err, ftpclient.ErrNameChanged):
			changed = append(changed, what)
		case err != nil && !conn.Usable():
			return "", nil, "", err
		case err == nil && strings.Contains(conn.Facts().OddNames, ftpclient.OddName(name)+"=kept"):
			kept = append(kept, what)
		}
	}
	if len(changed) > 0 {
		return Absent, changed, "the server changes or hides a name that " + strings.Join(changed, " or "), nil
	}
	if len(kept) < len(oddNames) {
		return Works, []string{}, "kept, as far as the server takes them", nil
	}
	return Works, []string{}, "blanks and dots at the ends and control characters are kept", nil
}

func tryChmod(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	if err := conn.SetMode(ctx, e.path(sampleName), fs.FileMode(0o640)); err != nil {
		return "", nil, "", err
	}
	return Works, nil, "", nil
}

// lineLengths are tried, in bytes: what the client sends at most, and what servers were seen to take.
var lineLengths = []int{4096, 2048, 1024, 512, 256}

// tryLongPaths asks for a file that cannot be, far down, on a connection of its own: servers
// hang up over long lines, or never answer.
func tryLongPaths(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	limit, last := e.Server.CommandLimit, error(nil)
	for _, length := range lineLengths {
		if length > limit {
			continue
		}
		err := e.askFarDown(ctx, conn, length)
		if err == nil {
			if length == limit {
				return Works, length, fmt.Sprintf("%d bytes", length), nil
			}
			return Absent, length, fmt.Sprintf("%d bytes are answered, more are not", length), nil
		}
		if ctx.Err() != nil {
			return "", nil, "", err
		}
		if last = err; ftpclient.Classify(err) == ftpclient.ClassBusy {
			return Unknown, nil, notTried + "no second connection", nil
		}
	}
	return Unknown, nil, shortReply(last), nil
}

// askFarDown sends a command of so many bytes. Any answer about the path is a good one.
func (e *examination) askFarDown(ctx context.Context, conn *ftpclient.Conn, length int) error {
	o := e.Client
	o.Facts, o.Logger, o.ReplyTimeout = conn.Facts(), nil, min(e.Server.ReplyTimeout, 10*time.Second)
	asking, err := ftpclient.Dial(ctx, e.Server.Address, o)
	if err != nil {
		return err
	}
	defer asking.Close()
	p := asking.Absolute("ftpferry-doctor-asks-for-what-is-not-there")
	for room := length - len("SIZE \r\n") - len(p); room > 1; room = length - len("SIZE \r\n") - len(p) {
		p += "/" + strings.Repeat("x", min(room-1, 200))
	}
	_, err = asking.Size(ctx, path.Clean(p))
	var refused *ftpclient.Error
	if errors.As(err, &refused) && asking.Usable() && !strings.Contains(strings.ToLower(refused.Text), "too long") {
		return nil
	}
	if err == nil || errors.As(err, &refused) && asking.Usable() && refused.Code >= 550 {
		return nil // "File name too long": about the file system and not about the line
	}
	return err
}

// durationText is "1h30m" and not "1h30m0s".
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
