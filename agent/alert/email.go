package alert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/ftpferry/ftpferry/agent/config"
)

// email sends messages to people.
type email struct{ config.Email }

// Send implements Sender. Success is that the server has taken the mail for all of its receivers.
func (e email) Send(ctx context.Context, m Message) (string, error) {
	letter := mail.NewMsg()
	if err := letter.From(e.From); err != nil {
		return "", fmt.Errorf("from: %w", err)
	}
	if err := letter.To(e.To...); err != nil {
		return "", fmt.Errorf("to: %w", err)
	}
	letter.Subject(fmt.Sprintf("ftpferry on %s: %s", m.Host, m.Summary))
	letter.SetDateWithValue(m.When)
	letter.SetMessageID()
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's absence note answers
	letter.SetBodyString(mail.TypeTextPlain, m.Text())
	line := &mailLine{config: &tls.Config{ServerName: e.Host, RootCAs: e.RootCAs, MinVersion: tls.VersionTLS12}, implicit: e.TLS == config.EmailImplicit}
	defer line.close()
	client, err := mail.NewClient(e.Host, e.options(ctx, line)...)
	if err != nil {
		return "", err
	}
	if err := client.DialAndSendWithContext(ctx, letter); err != nil && !letter.IsDelivered() { // else it is the farewell that has failed
		if cause := context.Cause(ctx); cause != nil {
			return "", cause
		}
		return "", errors.New(oneLine(err.Error(), longestText)) // servers have a hand in it
	}
	return fmt.Sprintf("%s has taken it", e.Host), nil
}

// longestEmail bounds an attempt that nothing else bounds.
const longestEmail = time.Minute

func (e email) options(ctx context.Context, line *mailLine) []mail.Option {
	patience := longestEmail
	if until, bounded := ctx.Deadline(); bounded {
		patience = max(time.Until(until), time.Millisecond)
	}
	options := []mail.Option{mail.WithPort(e.Port), mail.WithTLSConfig(line.config), mail.WithDialContextFunc(line.dialUntil(ctx)), mail.WithTimeout(patience)}
	switch e.TLS {
	case config.EmailImplicit:
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic)) // there is TLS already
	case config.EmailNone:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if e.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(e.User), mail.WithPassword(e.Password.Reveal()))
	}
	return options
}

// mailLine is the connection to a mail server. The client forgets it without closing it when the server refuses STARTTLS or the login,
// and does not end when its context does.
type mailLine struct {
	config   *tls.Config
	implicit bool // TLS from the first byte
	conn     net.Conn
	unwatch  func() bool
}

// dialUntil returns what makes the connection, which ends when until does.
func (l *mailLine) dialUntil(until context.Context) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		if l.implicit {
			conn, err = (&tls.Dialer{Config: l.config}).DialContext(ctx, network, address)
		} else {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		}
		if err != nil {
			return nil, err
		}
		l.conn, l.unwatch = conn, context.AfterFunc(until, func() { conn.Close() })
		return conn, nil
	}
}

func (l *mailLine) close() {
	if l.conn != nil {
		l.unwatch()
		l.conn.Close()
	}
}
