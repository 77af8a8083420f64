package alert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

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
	client, err := mail.NewClient(e.Host, e.options()...)
	if err != nil {
		return "", err
	}
	if err := client.DialAndSendWithContext(ctx, letter); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return "", cause
		}
		return "", errors.New(oneLine(err.Error(), longestText)) // servers have a hand in it
	}
	return fmt.Sprintf("%s has taken it", e.Host), nil
}

func (e email) options() []mail.Option {
	options := []mail.Option{
		mail.WithPort(e.Port),
		mail.WithTLSConfig(&tls.Config{ServerName: e.Host, RootCAs: e.RootCAs, MinVersion: tls.VersionTLS12}),
	}
	switch e.TLS {
	case config.EmailImplicit:
		options = append(options, mail.WithSSL())
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
