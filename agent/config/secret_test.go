package config

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	const value = "hunter2"
	secret := NewSecret(value)
	hidden := struct{ secret Secret }{secret} // fmt calls no methods on unexported fields
	key := []byte(value)
	server := &Server{Password: secret, Account: secret, Proxy: NewSecret("http://u:" + value + "@h:1"),
		ClientCertificate: NewKeyPair(&tls.Certificate{PrivateKey: ed25519.PrivateKey(key)})}
	hiddenPair := struct{ pair KeyPair }{server.ClientCertificate}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%10.3s"} {
		for _, shown := range []any{secret, &secret, hidden, hiddenPair, server.ClientCertificate, server, *server, []Secret{secret}, map[string]Secret{"a": secret}} {
			fmt.Fprintf(&out, verb+"\n", shown)
		}
	}
	for _, shown := range []any{secret, server, map[Secret]int{secret: 1}} {
		if err := json.NewEncoder(&out).Encode(shown); err != nil {
			t.Fatal(err)
		}
	}
	if err := toml.NewEncoder(&out).Encode(struct{ Password Secret }{secret}); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", secret, "server", server)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", secret, "server", server)
	for _, leak := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprint(key), base64.StdEncoding.EncodeToString(key)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is in:\n%s", leak, out.String())
		}
	}
	if got := fmt.Sprintln(secret, Secret{}, secret.Reveal(), secret.Equal(NewSecret(value)), secret.Equal(Secret{})); got != "[redacted]  hunter2 true false\n" {
		t.Errorf("got %q", got)
	}
}
