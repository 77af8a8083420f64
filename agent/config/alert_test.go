package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAlertsArrive(t *testing.T) {
	text := server + sync("web", up+`expect = { by = "6:00", at_least = 3, pattern = "*.csv", days = ["mon", "fri"], within = "6h" }`+"\n") + `
[agent]
heartbeat = { url = { env = "BEAT" }, every = "30s" }
[alert.chat]
webhook = { url = { env = "HOOK" }, secret = "s3cret" }
on = "halted"
syncs = "web"
[alert.mail]
email = { server = "mail.example.com", from = "a@example.com", to = "Ops <b@example.com>", user = "u", password = { env = "MAIL" } }
servers = ["acme"]
after = "1m"
certificate = "30d"
group = "0s"
remind = ""
limit = 3
timeout = "5s"
[alert.page]
command = ["` + filepath.ToSlash(os.Args[0]) + `", "x"]
`
	cfg, err := load(t, text, map[string]string{"HOOK": "https://chat.example.com/s3cret", "MAIL": "s3cret", "BEAT": "http://b/s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	usual := Alert{On: AlertWords, After: 15 * time.Minute, Certificate: 14 * day, Group: 30 * time.Second, Remind: day, Limit: 10, Timeout: 30 * time.Second}
	chat, page := usual, usual
	chat.Name, chat.On, chat.Syncs = "chat", []string{"halted"}, []string{"web"}
	chat.Webhook = &Webhook{NewSecret("https://chat.example.com/s3cret"), NewSecret("s3cret")}
	page.Name, page.Command = "page", []string{filepath.FromSlash(filepath.ToSlash(os.Args[0])), "x"}
	want := map[string]*Alert{"chat": &chat, "page": &page, "mail": {
		Name: "mail", On: AlertWords, Servers: []string{"acme"}, After: time.Minute, Certificate: 30 * day, Limit: 3, Timeout: 5 * time.Second,
		Email: &Email{Host: "mail.example.com", Port: 587, From: "a@example.com", To: []string{"Ops <b@example.com>"}, User: "u", Password: NewSecret("s3cret"), TLS: EmailSTARTTLS},
	}}
	if diff := cmp.Diff(want, cfg.Alerts); diff != "" {
		t.Error(diff)
	}
	if beat := cfg.Agent.Heartbeat; beat.Every != 30*time.Second || beat.URL.Reveal() != "http://b/s3cret" {
		t.Error(beat)
	}
	expects := cfg.Syncs["web"].Expects
	if len(expects) != 1 || expects[0].Name != "*.csv by 6:00 on mon,fri" || expects[0].AtLeast != 3 || expects[0].Within != 6*time.Hour {
		t.Errorf("%+v", expects)
	}
	shown, err := LoadEffective("agent.toml", environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(shown.TOML(), "s3cret") {
		t.Errorf("a secret is in:\n%s", shown.TOML())
	}
	again, err := load(t, shown.TOML(), map[string]string{"HOOK": "https://chat.example.com/s3cret", "MAIL": "s3cret", "BEAT": "http://b/s3cret"})
	if err != nil {
		t.Fatalf("%v\n%s", err, shown.TOML())
	}
	want["chat"].Webhook.Secret = NewSecret(redacted)
	if diff := cmp.Diff(want, again.Alerts, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what is shown is another configuration: %s", diff)
	}
}

func TestAlertsThatCannotBe(t *testing.T) {
	hook := "[alert.a]\nwebhook = { url = \"https://h/\" }\n"
	mail := func(more string) string {
		return "[alert.a]\nemail = { server = \"h\", from = \"a@b.example\", to = \"c@b.example\"" + more + " }\n"
	}
	for sentence, row := range map[string]struct{ text, want string }{
		"nobody to tell":                 {"[alert.a]\n", "alert.a: says nobody whom to tell"},
		"two ways":                       {hook + "command = [\"x\"]\n", "alert.a: has both webhook and command"},
		"a webhook without a URL":        {"[alert.a]\nwebhook = { secret = \"x\" }\n", "alert.a.webhook: url is required"},
		"a URL that is none":             {"[alert.a]\nwebhook = { url = \"ftp://s3cret/\" }\n", "is not a URL that begins with"},
		"a command without a program":    {"[alert.a]\ncommand = []\n", "names no program"},
		"a word that is not known":       {hook + "on = [\"halted\", \"down\"]\n", `alert.a.on: "down" is not known: write "halted", `},
		"nothing to tell of":             {hook + "on = []\n", "alert.a.on: is empty"},
		"a sync that is not there":       {hook + "syncs = [\"x\"]\n", "there is no [sync.x]"},
		"a server that is not there":     {hook + "servers = [\"x\"]\n", "there is no [server.x]"},
		"no messages at all":             {hook + "limit = 0\n", "alert.a.limit: 0 is out of range"},
		"no time":                        {hook + "timeout = \"0s\"\n", "alert.a.timeout: must be more than zero"},
		"reminders all the time":         {hook + "remind = \"1s\"\n", "alert.a.remind: 1s is too often"},
		"an e-mail to nobody":            {"[alert.a]\nemail = { server = \"h\", from = \"a@b.example\" }\n", "to is required"},
		"an e-mail from nobody":          {"[alert.a]\nemail = { server = \"h\", from = \"x\", to = \"a@b.example\" }\n", `"x" is not an address`},
		"an e-mail with a header in it":  {"[alert.a]\nemail = { server = \"h\", from = \"a@b.example\", to = \"a@b.example\\nBcc: c@b.example\" }\n", "is not an address"},
		"a password for all to see":      {mail(`, tls = "none", user = "u", password = "p"`), `"none" would show the password`},
		"a user without a password":      {mail(`, user = "u"`), "has no meaning without password"},
		"a mail server with a bad port":  {"[alert.a]\nemail = { server = \"h:x\", from = \"a@b.example\", to = \"c@b.example\" }\n", `"h:x" has no port`},
		"a heartbeat all the time":       {"[agent]\nheartbeat = { url = \"https://h/\", every = \"1s\" }\n", "agent.heartbeat.every: 1s is out of range"},
		"a heartbeat to a .netrc":        {"[agent]\nheartbeat = { url = { netrc = true } }\n", "a .netrc holds no URLs"},
		"an expect without a time":       {"expect = { at_least = 1 }\n", "needs the time of the day"},
		"an expect at no time":           {"expect = { by = \"25:00\" }\n", `by = "25:00" is not a time of the day`},
		"an expect of nothing":           {"expect = { by = \"6:00\", at_least = 0 }\n", "at_least must be a whole number from 1"},
		"an expect on no day":            {"expect = { by = \"6:00\", days = [\"monday\"] }\n", `days: "monday" is not known`},
		"an expect with a wrong key":     {"expect = { by = \"6:00\", atleast = 1 }\n", `unknown key "atleast" (did you mean "at_least"?)`},
		"an expect with a wrong pattern": {"expect = { by = \"6:00\", pattern = \"[\" }\n", `pattern = "[" does not work`},
		"an expect twice":                {"expect = [{ by = \"6:00\" }, { by = \"6:00\", at_least = 2 }]\n", "is in the list twice"},
		"an expect beyond the history":   {"expect = { by = \"6:00\" }\n[agent]\nhistory = { keep = \"12h\" }\n", "the history is kept for 12h"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := load(t, server+sync("web", up+row.text), nil)
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v\nwant %q", err, row.want)
			}
		})
	}
}

// TestWindows has the last deadline before a moment, and from when on files count for it.
func TestWindows(t *testing.T) {
	const form = "2006-01-02 15:04 MST"
	for sentence, row := range map[string]struct{ expect, now, from, by string }{
		"the last one was today": {`{ by = "06:00" }`, "2026-11-23T12:00:00Z", "2026-11-22 06:00 WET", "2026-11-23 06:00 WET"},
		"it is now":              {`{ by = "06:00" }`, "2026-11-23T06:00:00Z", "2026-11-22 06:00 WET", "2026-11-23 06:00 WET"},
		"it is just to come":     {`{ by = "06:00" }`, "2026-11-23T05:59:59Z", "2026-11-21 06:00 WET", "2026-11-22 06:00 WET"},
		"on working days the weekend counts for Monday": {`{ by = "06:00", days = ["mon", "tue", "wed", "thu", "fri"] }`, "2026-11-23T12:00:00Z", "2026-11-20 06:00 WET", "2026-11-23 06:00 WET"},
		"once a week":       {`{ by = "06:00", days = "sun" }`, "2026-11-28T12:00:00Z", "2026-11-15 06:00 WET", "2026-11-22 06:00 WET"},
		"within some hours": {`{ by = "06:00", within = "2h" }`, "2026-11-23T12:00:00Z", "2026-11-23 04:00 WET", "2026-11-23 06:00 WET"},
		"a time that the clock leaves out is at the change": {`{ by = "01:30" }`, "2026-03-29T12:00:00Z", "2026-03-28 01:30 WET", "2026-03-29 02:00 WEST"},
		"a time that comes twice is the first":              {`{ by = "01:30" }`, "2026-10-25T12:00:00Z", "2026-10-24 01:30 WEST", "2026-10-25 01:30 WEST"},
		"a day of 23 hours":                                 {`{ by = "06:00" }`, "2026-03-29T12:00:00Z", "2026-03-28 06:00 WET", "2026-03-29 06:00 WEST"},
	} {
		t.Run(sentence, func(t *testing.T) {
			cfg, err := load(t, server+sync("web", up+"time_zone = \"Europe/Lisbon\"\nexpect = "+row.expect+"\n"), nil)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.Parse(time.RFC3339, row.now)
			if err != nil {
				t.Fatal(err)
			}
			from, by := cfg.Syncs["web"].Expects[0].Window(now)
			if from.Format(form) != row.from || by.Format(form) != row.by {
				t.Errorf("from %s to %s, want from %s to %s", from.Format(form), by.Format(form), row.from, row.by)
			}
		})
	}
}
