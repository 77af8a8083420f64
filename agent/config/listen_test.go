package config

import (
	"fmt"
	"strings"
	"testing"
)

const goodToken = "a-long.token_of~letters+and/1="

func TestListen(t *testing.T) {
	for _, row := range []struct{ sentence, settings, want string }{
		{"this machine alone needs no token", `listen = "127.0.0.1:8021"`, ""},
		{"nor does it by IPv6", `listen = "[::1]:8021"`, ""},
		{"nor by name", `listen = "LocalHost:8021"`, ""},
		{"any loopback address will do", `listen = "127.8.9.10:1"`, ""},
		{"others do", `listen = "192.0.2.1:8021"`, `agent.toml:2: agent.listen: other machines can reach "192.0.2.1:8021": write "127.0.0.1:8021", or set listen_token`},
		{"all addresses do", `listen = ":8021"`, `agent.toml:2: agent.listen: other machines can reach ":8021": write "127.0.0.1:8021", or set listen_token`},
		{"names may be anything", `listen = "example.com:8021"`, `agent.toml:2: agent.listen: other machines can reach "example.com:8021": write "127.0.0.1:8021", or set listen_token`},
		{"with a token they are allowed", `listen = ":8021"` + "\n" + `listen_token = "` + goodToken + `"`, ""},
		{"an empty token is none", `listen = ":8021"` + "\n" + `listen_token = ""`, `agent.toml:2: agent.listen: other machines can reach ":8021": write "127.0.0.1:8021", or set listen_token`},
		{"a port is needed", `listen = "127.0.0.1"`, `agent.toml:2: agent.listen: "127.0.0.1" is not HOST:PORT: write "127.0.0.1:8021", or "[::1]:8021"`},
		{"and a good one", `listen = "127.0.0.1:0"`, `agent.toml:2: agent.listen: the port of "127.0.0.1:0" must be a number from 1 to 65535`},
		{"a host is no URL", `listen = "http//x:80"`, `agent.toml:2: agent.listen: "http//x" is not a host name or IP address`},
		{"a token may not be short", "listen = \"[::1]:1\"\n" + `listen_token = "short"`,
			`agent.toml:3: agent.listen_token: the token has fewer than 16 characters, so that it can be guessed: make one with "openssl rand -hex 24"`},
		{"a token fits into a header", "listen = \"[::1]:1\"\n" + `listen_token = "some words and more words"`,
			`agent.toml:3: agent.listen_token: the token has other characters than letters, digits and -._~+/: make one with "openssl rand -hex 24"`},
		{"a token that is not there", "listen = \":1\"\n" + `listen_token = { env = "NONE" }`,
			`agent.toml:3: agent.listen_token: the environment variable "NONE" is not set or empty`},
		{"a .netrc has none", "listen = \":1\"\n" + `listen_token = { netrc = true }`,
			`agent.toml:3: agent.listen_token: a .netrc holds no tokens: write one of env, file, credential, command and keyring`},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			cfg, err := load(t, "[agent]\n"+row.settings+"\n", nil)
			if row.want == "" {
				if err != nil || !strings.Contains(row.settings, `"`+cfg.Agent.Listen+`"`) || cfg.Agent.Listen == "" {
					t.Errorf("%v, %+v", err, cfg)
				}
				return
			}
			expectProblems(t, err, row.want)
		})
	}
}

func TestTheTokenIsFoundAndNeverShown(t *testing.T) {
	cfg := mustLoad(t, "[agent]\nlisten = \":8021\"\nlisten_token = { env = \"T\" }\n", map[string]string{"T": goodToken})
	if cfg.Agent.ListenToken.Reveal() != goodToken {
		t.Error("the token is another one")
	}
	if text := fmt.Sprintf("%+v %#v", cfg.Agent, cfg.Agent); strings.Contains(text, goodToken) {
		t.Error(text)
	}
	warned := mustLoad(t, "[agent]\nlisten_token = \""+goodToken+"\"\n"+server, nil).Warnings
	found := false
	for _, w := range warned {
		found = found || w.Key == "agent.listen_token" && w.Text == "means nothing without listen"
	}
	if !found {
		t.Errorf("a token without a use is not told of: %v", warned)
	}
}
