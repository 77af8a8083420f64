package ftptest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// player carries out the steps of one script.
type player struct {
	script  *Script
	control *channel     // nil until the first step that needs it, and after its end
	line    string       // the last one received
	passive net.Listener // nil before the first passive step
	active  string       // where the last PORT or EPRT points to
	data    *channel     // nil when none is open
}

// playAll reports whether all went as the script says.
func (p *player) playAll() bool {
	s := p.script
	for number, step := range s.steps {
		if err := p.play(step); err != nil {
			s.t.Errorf("script, step %d of %d: %v", number+1, len(s.steps), err)
			return false
		}
	}
	return true
}

// awaitClose sees to it that the client has nothing more to say.
func (p *player) awaitClose() {
	if p.control == nil {
		return
	}
	if line, err := p.control.reader.ReadString('\n'); err == nil {
		p.script.t.Errorf("script, after the last step: got %q, want nothing", line)
	}
}

func (p *player) end() {
	for _, c := range []*channel{p.control, p.data} {
		if c != nil {
			c.raw.Close()
		}
	}
	if p.passive != nil {
		p.passive.Close()
	}
}

func (p *player) play(step Step) error {
	if step.Call != nil {
		step.Call()
	}
	if err := p.pause(step.Hold, step.Delay); err != nil {
		return err
	}
	if p.control == nil {
		if err := p.acceptControl(step); err != nil {
			return err
		}
	}
	if step.Expect != "" {
		if err := p.expect(step.Expect); err != nil {
			return err
		}
	}
	text, err := p.reply(step)
	if err != nil {
		return err
	}
	if err := p.control.send(text, step.Pace); err != nil {
		return fmt.Errorf("send %s: %w", excerpt(text), err)
	}
	if step.Clear != "" { // a pipe waits for somebody to read nothing, too
		if _, err := io.WriteString(p.control.raw, step.Clear); err != nil {
			return fmt.Errorf("send %q below TLS: %w", step.Clear, err)
		}
	}
	if step.TLS != nil {
		if err := p.control.secure(step.TLS); err != nil {
			return fmt.Errorf("control connection: %w", err)
		}
	}
	if step.Data != nil {
		if err := p.transfer(step.Data); err != nil {
			return fmt.Errorf("data connection: %w", err)
		}
	}
	p.control.flood(step.Flood, step.Pace)
	if p.control.finish(step.End) || step.Flood != "" {
		p.control = nil
	}
	return nil
}

func (p *player) pause(hold <-chan struct{}, delay time.Duration) error {
	over := errors.New("the test ended before it")
	if hold != nil {
		select {
		case <-hold:
		case <-p.script.stop:
			return over
		}
	}
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.script.stop:
			return over
		}
	}
	return nil
}

func (p *player) acceptControl(step Step) error {
	conn, err := p.script.control.Accept()
	if err != nil {
		return fmt.Errorf("no client came for %q: %w", step.Expect+step.Send+step.Raw, err)
	}
	p.control = p.channel(conn)
	return nil
}

func (p *player) channel(conn net.Conn) *channel {
	p.script.track(conn)
	return &channel{raw: conn, conn: conn, reader: bufio.NewReader(conn)}
}

func (p *player) expect(want string) error {
	line, err := p.control.reader.ReadString('\n')
	if err != nil {
		return fmt.Errorf("got %q and then %w, want %q", line, err, want)
	}
	got, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return fmt.Errorf("got %q, want it to end with CR LF", line)
	}
	prefix, open := strings.CutSuffix(want, "*")
	if got != want && !(open && strings.HasPrefix(got, prefix)) {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	p.line = got
	switch command, argument, _ := strings.Cut(got, " "); command {
	case "PORT":
		p.active, err = portAddress(argument)
	case "EPRT":
		p.active, err = eprtAddress(argument)
	case "PASV", "EPSV":
		p.active = ""
	}
	return err
}

// reply returns the bytes that a step sends, and opens its listener.
func (p *player) reply(step Step) (string, error) {
	text := step.Send
	if step.Passive {
		if p.passive != nil {
			p.passive.Close()
		}
		var err error
		if p.passive, err = p.script.network.listen(); err != nil {
			return "", err
		}
		p.script.track(p.passive)
		if text == "" && step.Raw == "" {
			text = "227 Entering Passive Mode ({pasv})."
			if strings.HasPrefix(p.line, "EPSV") {
				text = "229 Entering Extended Passive Mode (|||{port}|)"
			}
		}
	}
	if p.passive != nil {
		address := p.passive.Addr().(*net.TCPAddr)
		ip := strings.ReplaceAll(address.IP.String(), ".", ",")
		text = strings.NewReplacer(
			"{port}", strconv.Itoa(address.Port),
			"{pasv}", fmt.Sprintf("%s,%d,%d", ip, address.Port>>8, address.Port&0xff),
			"{bytes}", fmt.Sprintf("%d,%d", address.Port>>8, address.Port&0xff),
		).Replace(text)
	}
	if text != "" {
		text = strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"
	}
	return text + step.Raw, nil
}

func (p *player) transfer(d *Data) error {
	if p.data == nil {
		conn, err := p.open(d.From)
		if err != nil {
			return err
		}
		p.data = p.channel(conn)
	}
	if d.TLS != nil {
		if err := p.data.secure(d.TLS); err != nil {
			return err
		}
	}
	if err := p.data.send(d.Send, d.Pace); err != nil {
		return fmt.Errorf("send %d bytes: %w", len(d.Send), err)
	}
	if err := p.receive(d); err != nil {
		return err
	}
	p.data.flood(d.Flood, d.Pace)
	if p.data.finish(d.End) || d.Flood != "" {
		p.data = nil
	}
	return nil
}

func (p *player) open(from string) (net.Conn, error) {
	switch {
	case p.active != "":
		return p.script.network.dialFrom(from, p.active)
	case p.passive != nil:
		return p.passive.Accept()
	}
	return nil, errors.New("no PORT, EPRT or passive step came before it")
}

func (p *player) receive(d *Data) error {
	var got []byte
	var err error
	block := make([]byte, PaceBlock)
	for err == nil && (d.Receive == All || len(got) < d.Receive) {
		limit := len(block)
		if d.Receive != All {
			limit = min(limit, d.Receive-len(got))
		}
		var n int
		n, err = p.data.read(block[:limit], p.script.silence)
		got = append(got, block[:n]...)
		time.Sleep(d.Pace)
	}
	p.script.addReceived(got)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("got %s, and then nothing for %s, not even the end", excerpt(string(got)), p.script.silence)
	}
	if d.Receive != All && err != nil {
		return fmt.Errorf("got %d bytes and then %w, want %d", len(got), err, d.Receive)
	}
	if d.Want != "" && string(got) != d.Want {
		return fmt.Errorf("got %s, want %s; ended by %v", excerpt(string(got)), excerpt(d.Want), err)
	}
	return nil
}

// excerpt keeps messages readable.
func excerpt(s string) string {
	if len(s) <= 60 {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("%d bytes %q...", len(s), s[:40])
}

// channel is the server's end of one connection.
type channel struct {
	raw    net.Conn      // below TLS
	conn   net.Conn      // raw, or TLS over it
	tls    *TLS          // nil for plain
	reader *bufio.Reader // of conn
}

func (c *channel) secure(options *TLS) error {
	if n := c.reader.Buffered(); n > 0 {
		early, _ := c.reader.Peek(n) // cannot fail: they are there
		return fmt.Errorf("handshake: got %q before it, in the same segment", early)
	}
	below := c.raw
	if options.LateTickets {
		below = &lateTickets{Conn: c.raw}
	}
	conn := tls.Server(below, options.Config)
	if err := conn.Handshake(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if options.MustResume && !conn.ConnectionState().DidResume {
		return errors.New("the client did not resume a TLS session")
	}
	c.conn, c.tls, c.reader = conn, options, bufio.NewReader(conn)
	return nil
}

func (c *channel) send(text string, pace time.Duration) error {
	size := len(text)
	if pace > 0 {
		size = 1
	}
	for len(text) > 0 {
		if _, err := io.WriteString(c.conn, text[:size]); err != nil {
			return err
		}
		text = text[size:]
		time.Sleep(pace)
	}
	return nil
}

// read fills the block, unless the data end. It gives up after so much silence, 0 for never.
func (c *channel) read(block []byte, silence time.Duration) (n int, err error) {
	for n < len(block) && err == nil {
		if silence > 0 {
			c.raw.SetReadDeadline(time.Now().Add(silence))
		}
		var more int
		more, err = c.reader.Read(block[n:])
		n += more
	}
	if silence > 0 {
		c.raw.SetReadDeadline(time.Time{})
	}
	return n, err
}

// flood ends when the other side does not take any more, and closes the connection.
func (c *channel) flood(text string, pace time.Duration) {
	if text == "" {
		return
	}
	for {
		if _, err := io.WriteString(c.conn, text); err != nil {
			c.raw.Close()
			return
		}
		time.Sleep(pace)
	}
}

// finish reports whether the channel is no more. Errors do not matter: the other side may be gone.
func (c *channel) finish(end End) bool {
	tcp, isTCP := c.raw.(*net.TCPConn)
	secure, isTLS := c.conn.(*tls.Conn)
	if isTLS && !c.tls.NoCloseNotify && (end == HalfClose || end == Close) {
		secure.CloseWrite()
	}
	switch end {
	case HalfClose:
		if isTCP {
			tcp.CloseWrite()
		}
	case Reset:
		if isTCP {
			tcp.SetLinger(0)
		}
		c.raw.Close()
	case Close:
		c.raw.Close()
	case CutRecord:
		io.WriteString(c.raw, "\x17\x03\x03\x01\x00cut") // application data, 256 bytes long
		c.raw.Close()
	}
	return end == Close || end == Reset || end == CutRecord
}

// portAddress reads the argument of PORT (RFC 959 section 4.1.2).
func portAddress(argument string) (string, error) {
	var ip [4]byte
	var high, low byte
	_, err := fmt.Sscanf(argument, "%d,%d,%d,%d,%d,%d", &ip[0], &ip[1], &ip[2], &ip[3], &high, &low)
	if err != nil {
		return "", fmt.Errorf("PORT %q: %w", argument, err)
	}
	return net.JoinHostPort(net.IP(ip[:]).String(), strconv.Itoa(int(high)<<8|int(low))), nil
}

// eprtAddress reads the argument of EPRT (RFC 2428 section 2).
func eprtAddress(argument string) (string, error) {
	if argument != "" {
		if fields := strings.Split(argument, argument[:1]); len(fields) == 5 {
			return net.JoinHostPort(fields[2], fields[3]), nil
		}
	}
	return "", fmt.Errorf("EPRT %q: want |family|address|port|", argument)
}
