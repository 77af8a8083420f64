package config

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestWhatIsShownLoadsAgain: from another folder, as the same but for secrets, and without a warning more.
func TestWhatIsShownLoadsAgain(t *testing.T) {
	document, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	secrets := map[string]string{"STATE_DIRECTORY": filepath.Join(folder, "state"), "ProgramData": folder, "HOME": folder, "ACME": "s3cret-1", "ACCOUNT": "s3cret-2"}
	for _, c := range []struct{ sentence, text string }{
		{"only what is required", minimal},
		{"every option of a sync", optionsFile},
		{"every option of a server, all paths relative", everySetting},
		{"agent.toml", string(document)},
		{"what means nothing beside other things", "[server.a]\naddress = \"h\"\ntls = \"none\"\n[server.b]\naddress = \"h\"\ndata = { mode = \"passive\" }\n"},
		{"forms of values", "[agent]\nmax_state_size = \"4TB\"\nshutdown_grace = \"1d12h30m\"\n[server.\"a.b\"]\naddress = [\"h\", \"i\"]\nbandwidth = \"8:00,512KiB\"\n" +
			"proxy = \"socks5://s3cret-u:s3cret-p@h\"\npassword = \"s3cret\"\naccount = { env = \"ACCOUNT\" }\n[sync.x]\nserver = \"a.b\"\nlocal = \"w\\\\w\\u0022\"\nremote = \"r\"\n" +
			"direction = \"up\"\nmax_delete = \"2.5%\"\nschedule = [\"0 3 * * *\", { cron = \"5 * * * *\", do = \"verify\", jitter = \"30s\" }]\n" +
			"rules = [{ match = \"x\", mode = \"append\" }]\nhooks = { before = [\"./x\", \"./y\"], after = \"./z\" }\nmin_age = \"1h\"\n"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			before, err := load(t, c.text, secrets)
			if err != nil {
				t.Fatal(err)
			}
			effective, err := LoadEffective("agent.toml", environment(secrets))
			if err != nil {
				t.Fatal(err)
			}
			shown := effective.TOML()
			asJSON, err := json.Marshal(effective)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(shown+string(asJSON), "s3cret") {
				t.Errorf("a secret is in:\n%s\n%s", shown, asJSON)
			}
			after, err := load(t, shown, secrets)
			if err != nil {
				t.Fatalf("%v\n%s", err, shown)
			}
			if len(after.Warnings) > len(before.Warnings) {
				t.Errorf("warnings %v, before %v", after.Warnings, before.Warnings)
			}
			if diff := cmp.Diff(before, after, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), sameZone, cmpopts.EquateEmpty(),
				cmp.Comparer(func(a, b NameTemplate) bool { return a.String() == b.String() }),
				cmpopts.IgnoreTypes(Secret{}), cmpopts.IgnoreFields(Config{}, "Files", "Seen", "Warnings", "WithoutSecrets", "StateByDefault")); diff != "" {
				t.Errorf("(-file +shown):\n%s\n%s", diff, shown)
			}
			again, err := LoadEffective("agent.toml", environment(secrets))
			if err != nil {
				t.Fatal(err)
			}
			if strip(again.TOML()) != strip(shown) {
				t.Errorf("shown twice:\n%s\nand\n%s", shown, again.TOML())
			}
		})
	}
}

// strip leaves out the comments.
func strip(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestShowingAsksForNoSecrets(t *testing.T) {
	tree(t, map[string]string{"agent.toml": "[server.a]\naddress = \"h\"\npassword = { command = [\"no-such-program\"] }\naccount = { env = \"UNSET\" }\n" +
		"[server.b]\naddress = \"h\"\npassword = { file = \"absent\" }\n"})
	effective, err := LoadEffective("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere", "ProgramData": "/nowhere"}))
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`password = { command = ["no-such-program"] }`, `account = { env = "UNSET" }`,
		"password = { file = " + Quote(filepath.Join(here, "absent")) + " }", "# agent.toml:5:1\n[server.b]\n"} {
		if !strings.Contains(effective.TOML(), want) {
			t.Errorf("no %s in\n%s", want, effective.TOML())
		}
	}
}
