package config

import "time"

// rawAlert is one channel, by which people are told of trouble.
type rawAlert struct {
	Webhook rawWebhook   `toml:"webhook"`
	Email   rawEmail     `toml:"email"`
	Command stringOrList `toml:"command" form:"command"`

	On          stringOrList `toml:"on"`
	Syncs       stringOrList `toml:"syncs"`
	Servers     stringOrList `toml:"servers"`
	After       duration     `toml:"after"`
	Certificate duration     `toml:"certificate"`
	Group       duration     `toml:"group"`
	Remind      age          `toml:"remind"`
	Limit       int64        `toml:"limit"`
	Timeout     duration     `toml:"timeout"`
}

type rawWebhook struct {
	URL    rawSecret `toml:"url"`
	Secret rawSecret `toml:"secret"`
}

type rawEmail struct {
	Server   string       `toml:"server"`
	From     string       `toml:"from"`
	To       stringOrList `toml:"to"`
	User     string       `toml:"user"`
	Password rawSecret    `toml:"password"`
	TLS      string       `toml:"tls" words:"starttls implicit none"`
	TLSCA    string       `toml:"tls_ca" form:"path"`
}

type rawHeartbeat struct {
	URL   rawSecret `toml:"url"`
	Every duration  `toml:"every"`
}

func (a *rawAlert) setDefaults() {
	*a = rawAlert{
		Email:       rawEmail{TLS: EmailSTARTTLS},
		On:          AlertWords,
		After:       duration(15 * time.Minute),
		Certificate: duration(14 * day),
		Group:       duration(30 * time.Second),
		Remind:      age(day),
		Limit:       10,
		Timeout:     duration(30 * time.Second),
	}
}
