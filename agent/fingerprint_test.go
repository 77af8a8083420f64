package agent

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state"
)

// fewRounds spare the tests the time that guesses are to cost.
const fewRounds = 100

// TestWhatLiftsABlock has each field of a server's configuration: those that the answer to a login may depend on lift
// the block, and the others do not.
func TestWhatLiftsABlock(t *testing.T) {
	others := []string{
		"Name", "RootCAs", "Connections", "Segments", "Bandwidth", "Encoding", "Data", "Compress", "CommandLimit", "ListTimeZone", "ConnectTimeout", "ReplyTimeout", "StallTimeout",
	}
	plain := func() *config.Server {
		return &config.Server{Address: "h:21", User: "u", Password: config.NewSecret("correct horse"), TLS: config.TLSExplicit}
	}
	mark := state.Fingerprint{Salt: []byte("salt"), Rounds: 1} // what differs with one round does so with many
	var err error
	if mark.Sum, err = sumOf(plain(), mark); err != nil {
		t.Fatal(err)
	}
	if !sameConfig(mark, plain()) {
		t.Error("the same configuration is another one")
	}
	server := reflect.TypeFor[config.Server]()
	for i := range server.NumField() {
		name := server.Field(i).Name
		if slices.Contains(others, name) {
			continue
		}
		changed := plain()
		field := reflect.ValueOf(changed).Elem().Field(i)
		switch field.Interface().(type) {
		case config.Secret:
			field.Set(reflect.ValueOf(config.NewSecret("another")))
		case config.KeyPair:
			field.Set(reflect.ValueOf(config.NewKeyPair(&tls.Certificate{Certificate: [][]byte{{1}}})))
		case []string: // one address more than the first one
			field.Set(reflect.ValueOf([]string{"h:21", "another"}))
		case []ftpclient.PinnedKey:
			field.Set(reflect.ValueOf([]ftpclient.PinnedKey{{1}}))
		case bool:
			field.SetBool(true)
		case uint16:
			field.SetUint(tls.VersionTLS13)
		default:
			if field.Kind() != reflect.String {
				t.Fatalf("%s is neither in the fingerprint nor known not to matter", name)
			}
			field.SetString("another")
		}
		if sameConfig(mark, changed) {
			t.Errorf("another %s does not lift the block", name)
		}
	}
	other := plain()
	other.Connections = 7
	if !sameConfig(mark, other) {
		t.Error("another number of connections lifts the block")
	}
	if mark, err = newFingerprint(plain(), fewRounds); err != nil || !sameConfig(mark, plain()) {
		t.Errorf("the row of a server is not its own: %v", err)
	}
	// Nothing in the row tells what it was made of, nor that two servers have the same password.
	row, err := json.Marshal(mark)
	if err != nil || bytes.Contains(row, []byte("horse")) || fingerprintRounds < 100_000 {
		t.Errorf("row: %s, %v", row, err)
	}
	if again, err := newFingerprint(plain(), fewRounds); err != nil || bytes.Equal(again.Sum, mark.Sum) {
		t.Errorf("the same twice: %v", err)
	}
	mark.Rounds = 1 << 40
	if sameConfig(mark, plain()) {
		t.Error("a damaged row counts")
	}
}
