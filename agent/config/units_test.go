package config

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration // -1: refused
	}{
		{"5s", 5 * time.Second},
		{"90d", 90 * 24 * time.Hour},
		{"1d12h", 36 * time.Hour},
		{"0d", 0},
		{"-5s", -5 * time.Second},
		{"d", -1},
		{"-1d", -1},
		{"1.5d", -1},
		{"1d-1h", -1},
		{"1d+1h", -1},
		{"1h1d", -1},
		{"1d1d", -1},
		{"106752d", -1},            // more than 292 years
		{"106751d23h50m", -1},      // the hours make it too many
		{"99999999999999999d", -1}, // more than a number holds
		{"3", -1},
		{"", -1},
	} {
		got, err := ParseDuration(test.text)
		if err != nil && test.want != -1 || err == nil && got != test.want {
			t.Errorf("%q is %s, %v; want %s", test.text, got, err, test.want)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, test := range []struct {
		value any
		want  int64 // -1: refused
	}{
		{"", 0},
		{"64MiB", 64 << 20},
		{"4 GiB", 4 << 30},
		{"1TB", 1e12},
		{"100kB", 1e5},
		{"1B", 1}, // a min_size that leaves out empty files alone
		{"B", -1},
		{"5kiB", -1},
		{"1.5GiB", -1},
		{"-1GiB", -1},
		{"GiB", -1},
		{"8388608TiB", -1}, // more than a number holds
		{"5 apples", -1},
		{int64(5), -1},
		{true, -1},
	} {
		var got size
		problem := got.set(test.value)
		if problem != "" && test.want != -1 || problem == "" && int64(got) != test.want {
			t.Errorf("%v is %d, %q; want %d", test.value, got, problem, test.want)
		}
	}
}

func TestBoundsOfTheState(t *testing.T) {
	for line, want := range map[string]string{
		`max_state_size = "1MiB"`:   `agent.toml:10: agent.max_state_size: is less than a state file needs: write "64MiB" or more, or "" for no limit`,
		`max_state_size = 4`:        `agent.toml:10: agent.max_state_size: 4 has no unit: write "4MiB" if mebibytes are meant`,
		`history = { keep = "5m" }`: `agent.toml:10: agent.history.keep: 5m0s is too short: write "1h" or more, such as "90d"`,
		`history = { rows = 0 }`:    `agent.toml:10: agent.history.rows: 0 is out of range: write a number of rows from 1 to 100000000`,
	} {
		_, err := load(t, minimal+"[agent]\n"+line+"\n", nil)
		if err == nil || withoutColumns(err.Error()) != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}
