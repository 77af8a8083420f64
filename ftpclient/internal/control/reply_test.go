package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func reader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

func TestReadReply(t *testing.T) {
	tests := []struct {
		name  string
		input string
		want  Reply
	}{
		{"a single line", "220 ready\r\n", Reply{220, []string{"ready"}}},
		{"a bare code", "226\r\n", Reply{226, []string{""}}},
		{"a code and a blank", "226 \r\n", Reply{226, []string{""}}},
		{"a tab behind the code", "226\tok\r\n", Reply{226, []string{"ok"}}},
		{"LF alone", "226 ok\n", Reply{226, []string{"ok"}}},
		{"two CR", "226 ok\r\r\n", Reply{226, []string{"ok"}}},
		{"a code of protected replies", "631 base64\r\n", Reply{631, []string{"base64"}}},
		{"lines with other codes, indents and nothing",
			"211-Features:\r\n MDTM\r\n226 no end\r\n211-SIZE\r\n\r\n 211 no end\r\n2111 no end\r\nUTF8\r\n211 End\r\n",
			Reply{211, []string{"Features:", " MDTM", "226 no end", "211-SIZE", "", " 211 no end", "2111 no end", "UTF8", "End"}}},
		{"a bare code ends many lines", "230-hello\r\n230\r\n", Reply{230, []string{"hello", ""}}},
		{"a byte order mark", "\ufeff220 ready\r\n", Reply{220, []string{"ready"}}},
		{"telnet in front of the code", "\xff\xfb\x01\xff\xf2220-ready\r\n220 now\r\n", Reply{220, []string{"ready", "now"}}},
		{"bytes that are no UTF-8", "257 \"/\xff\xfe\"\r\n", Reply{257, []string{"\"/\xff\xfe\""}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			br := reader(test.input + "200 next\r\n")
			got, err := ReadReply(br)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if next, err := ReadReply(br); err != nil || next.Code != 200 {
				t.Errorf("the next reply: %v, %v", next, err)
			}
		})
	}
}

func TestReadReplyRefuses(t *testing.T) {
	tests := []struct {
		name  string
		input string
		want  error
		says  string
	}{
		{"nothing", "", io.EOF, ""},
		{"half a line", "220 rea", io.ErrUnexpectedEOF, ""},
		{"half of many lines", "220-ready\r\n", io.ErrUnexpectedEOF, ""},
		{"half a line of many", "220-ready\r\n220", io.ErrUnexpectedEOF, ""},
		{"an empty line", "\r\n", ErrProtocol, "no reply code"},
		{"words", "hello there\r\n", ErrProtocol, `"hello there"`},
		{"a code that runs on", "2200 ready\r\n", ErrProtocol, "no reply code"},
		{"a code below 100", "042 answer\r\n", ErrProtocol, "no reply code"},
		{"a code above 699", "700 ready\r\n", ErrProtocol, "no reply code"},
		{"a NUL", "220 re\x00ady\r\n", ErrProtocol, "NUL"},
		{"a NUL within", "220-re\r\n\x00\r\n220 x\r\n", ErrProtocol, "NUL"},
		{"a line that is too long", "220 " + strings.Repeat("x", MaxLine), ErrProtocol, "line of more than"},
		{"too many bytes", "220-\r\n" + strings.Repeat(strings.Repeat("x", 1000)+"\r\n", MaxReply/1000+1), ErrProtocol, "reply of more than"},
		{"too many lines of nothing", "220-\r\n" + strings.Repeat("\n", MaxReply/lineCost+1), ErrProtocol, "reply of more than"},
		{"an SSH server", "SSH-2.0-OpenSSH_9.2\r\n", ErrProtocol, "SFTP"},
		{"a web server", "HTTP/1.1 400 Bad Request\r\n", ErrProtocol, "web server"},
		{"a web page", "<html>\r\n", ErrProtocol, "web server"},
		{"a POP3 server", "+OK ready\r\n", ErrProtocol, "mail server"},
		{"an IMAP server", "* OK [CAPABILITY IMAP4rev1] ready\r\n", ErrProtocol, "mail server"},
		{"a MySQL server", "J\x00\x00\x00\n8.0.36\x00", ErrProtocol, "MySQL"},
		{"a telnet server that asks for half an option", "\xff\xfd\r\n", ErrProtocol, "telnet"},
		{"a telnet server", "\xff\xfd\x18\xff\xfd\x20\r\n", ErrProtocol, "telnet"},
		{"an rsync server", "@RSYNCD: 31.0\n", ErrProtocol, "rsync"},
		{"a VNC server", "RFB 003.008\n", ErrProtocol, "VNC"},
		{"an alert of TLS", "\x15\x03\x01\x00\x02\x02\x28", ErrProtocol, "implicit"},
		{"a handshake of TLS", "\x16\x03\x01\x00\n", ErrProtocol, "implicit"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ReadReply(reader(test.input))
			if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, %v; want %v that says %q", got, err, test.want, test.says)
			}
			if err != nil && len(err.Error()) > 200 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestALongReplyIsNotShownWhole(t *testing.T) {
	r := Reply{550, []string{strings.Repeat("é", MaxLine), strings.Repeat("x", MaxLine)}}
	if text := r.String(); len(text) > maxShown+20 || !strings.HasPrefix(text, "550 éé") {
		t.Errorf("%d bytes", len(text))
	}
}

// encode writes a reply as a server would.
func encode(r Reply) string {
	last := len(r.Lines) - 1
	if last == 0 {
		return fmt.Sprintf("%03d %s\r\n", r.Code, r.Lines[0])
	}
	text := fmt.Sprintf("%03d-%s\r\n", r.Code, r.Lines[0])
	for _, line := range r.Lines[1:last] {
		text += line + "\r\n"
	}
	return text + fmt.Sprintf("%03d %s\r\n", r.Code, r.Lines[last])
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte("220-hi\r\n 220 x\r\n220 ready\r\n"))
	f.Add([]byte("211-F\n\n211\n"))
	f.Add([]byte("\x15\x03\x01"))
	f.Fuzz(func(t *testing.T, input []byte) {
		br := bufio.NewReader(strings.NewReader(string(input)))
		for {
			reply, err := ReadReply(br)
			if err != nil {
				return
			}
			if reply.Code < 100 || reply.Code > 699 || len(reply.Lines) == 0 {
				t.Fatalf("%+v", reply)
			}
			if again, err := ReadReply(bufio.NewReader(strings.NewReader(encode(reply)))); err != nil || !cmp.Equal(again, reply) {
				t.Fatalf("%+v is read again as %+v, %v", reply, again, err)
			}
			size := 0
			for _, line := range reply.Lines {
				if strings.ContainsAny(line, "\n\x00") || len(line) > MaxLine {
					t.Fatalf("line %q", line)
				}
				size += len(line) + lineCost
			}
			if size > MaxReply {
				t.Fatalf("%d bytes", size)
			}
		}
	})
}

func TestNewCommand(t *testing.T) {
	tests := []struct {
		name, verb, argument, line string // line "" for a refusal
	}{
		{"no argument", "PWD", "", "PWD\r\n"},
		{"an argument", "RETR", "/a b", "RETR /a b\r\n"},
		{"blanks at both ends", "RETR", " a ", "RETR  a \r\n"},
		{"any bytes", "RETR", "/\xff\t\x01é", "RETR /\xff\t\x01é\r\n"},
		{"CR", "RETR", "/a\rb", ""},
		{"LF", "RETR", "/a\nDELE b", ""},
		{"NUL", "RETR", "/a\x00", ""},
		{"CR in the verb", "RE\rTR", "", ""},
		{"the longest line", "RETR", strings.Repeat("x", MaxCommand-7), "RETR " + strings.Repeat("x", MaxCommand-7) + "\r\n"},
		{"a line that is too long", "RETR", strings.Repeat("x", MaxCommand-6), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			command, err := NewCommand(test.verb, test.argument)
			if test.line == "" {
				if !errors.Is(err, ErrUnsendable) {
					t.Errorf("%v, want ErrUnsendable", err)
				}
				return
			}
			if line := string(command.appendTo(nil)); err != nil || line != test.line || command.Len() != len(line) {
				t.Errorf("%q of %d bytes, %v; want %q", line, command.Len(), err, test.line)
			}
		})
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	for argument, want := range map[string]string{"hush": "PASS ***", "": "PASS"} {
		command, err := NewCommand("PASS", argument)
		if err != nil {
			t.Fatal(err)
		}
		if got := command.Secret().String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if argument != "" && !strings.Contains(string(command.Secret().appendTo(nil)), argument) {
			t.Error("the secret is not sent")
		}
		if got := command.String(); argument != "" && got != "PASS hush" {
			t.Errorf("%q", got)
		}
	}
}
