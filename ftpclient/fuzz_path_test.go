package ftpclient

import (
	"path"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// FuzzPaths holds that the commands for a path add up to it, whatever is in it: that none is
// too long, that none has a line end in it, and that an element is never an option.
func FuzzPaths(f *testing.F) {
	f.Add("/a/b/c", "/a/d", "", 40, "latin1")
	f.Add("/grün/-la/~x", "/grün/-la/~x/ y", "DISK$X:[ANON]", 64, "utf-8")
	f.Add("..//a/../b/.", "", `C:\`, 20, "")
	f.Add(strings.Repeat("/x", 300), strings.Repeat("/x", 200)+"/y", "", 128, "shift_jis")
	f.Fuzz(func(t *testing.T, p, other, opaque string, limit int, encoding string) {
		if len(p)+len(other) > 4096 || strings.HasPrefix(opaque, "/") {
			return
		}
		codec, err := newCodec(encoding)
		if err != nil {
			return
		}
		c := &Conn{naming: naming{codec: codec, home: "/", opaque: opaque}}
		c.options.CommandLimit = 16 + (limit&0xfff+0x1000)&0xfff
		p, other = c.Absolute(p), c.Absolute(other)
		if folder := commonFolder(p, other); p != "/" && other != "/" {
			for _, one := range []string{p, other} {
				if rest := below(folder, one); rest == "" || path.Join(folder, rest) != one {
					t.Fatalf("%q is not below %q", one, folder)
				}
			}
		}
		commands, err := c.way("", p)
		if err != nil {
			return
		}
		raw, err := c.wire(p)
		if err != nil {
			t.Fatalf("%q is gone to and cannot be written: %v", p, err)
		}
		at := ""
		for i, command := range commands {
			at = c.step(t, at, command, i)
		}
		if at != raw && at != "" {
			t.Fatalf("%q leads to %q by %v", raw, at, commands)
		}
	})
}

// step follows one CWD.
func (c *Conn) step(t *testing.T, at string, command control.Command, i int) string {
	argument := strings.TrimPrefix(command.String(), "CWD ")
	if command.Len() > c.options.CommandLimit && argument != c.naming.opaque {
		t.Fatalf("%q is longer than %d", command, c.options.CommandLimit)
	}
	switch {
	case strings.ContainsAny(argument, "\r\n\x00"):
		t.Fatalf("%q", argument)
	case c.naming.opaque != "" && i == 0:
		return ""
	case strings.HasPrefix(argument, "/") && c.naming.opaque == "":
		return argument
	case c.naming.opaque == "" && strings.ContainsAny(argument[:1], "-~ "):
		t.Fatalf("%q may be an option", argument)
	}
	if c.naming.opaque == "" {
		argument = strings.TrimPrefix(argument, "./")
	}
	return at + "/" + argument
}
