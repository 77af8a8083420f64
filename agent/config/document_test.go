package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const document = "../../agent.toml"

var (
	headerLine = regexp.MustCompile(`^#?\[([^\]]+)\]$`) // one that is commented out, too, has its lines behind it
	optionLine = regexp.MustCompile(`^(#?)([a-z_]+ = .*)$`)
)

// documented returns the option lines of agent.toml, live or commented out, by section: "agent", "server", "sync", "alert", and "" above
// all of them.
func documented(t *testing.T) (lines []optionInDocument) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	section, explained := "", false
	for i, line := range strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n") {
		if match := headerLine.FindStringSubmatch(line); match != nil {
			section, _, _ = strings.Cut(match[1], ".")
		}
		if match := optionLine.FindStringSubmatch(line); match != nil {
			if !explained {
				t.Errorf("line %d: no reason stands above %q", i+1, line)
			}
			lines = append(lines, optionInDocument{section, match[2], match[1] == "#"})
			continue // several lines may share one text
		}
		explained = strings.HasPrefix(line, "# ")
	}
	return lines
}

type optionInDocument struct {
	section, text string
	isCommented   bool
}

// leaves adds the dotted keys of the raw struct.
func leaves(of reflect.Type, at string, found map[string]bool) {
	for i := range of.NumField() {
		field := of.Field(i)
		tag := field.Tag.Get("toml")
		if tag == "" {
			continue
		}
		name := strings.TrimPrefix(at+"."+tag, ".")
		switch {
		case field.Type.Kind() == reflect.Map:
			leaves(field.Type.Elem().Elem(), name, found)
		case field.Type.Kind() == reflect.Struct && !reflect.PointerTo(field.Type).Implements(reflect.TypeFor[setter]()):
			leaves(field.Type, name, found)
		default:
			found[name] = true
		}
	}
}

// isFormOfSecret: those forms are explained once, with password.
var isFormOfSecret = regexp.MustCompile(`^(server\.(account|proxy)|agent\.(listen_token|heartbeat\.url)|alert\.webhook\.(url|secret)|alert\.email\.password)\.`)

// TestEveryOptionIsDocumented holds agent.toml and the options together, in both directions.
func TestEveryOptionIsDocumented(t *testing.T) {
	options, inDocument := map[string]bool{}, map[string]bool{}
	leaves(reflect.TypeFor[raw](), "", options)
	for _, line := range documented(t) {
		var values map[string]any
		metadata, err := toml.Decode(line.text, &values)
		if err != nil {
			t.Fatalf("%s: %v", line.text, err)
		}
		for _, k := range metadata.Keys() {
			if metadata.Type(k...) != "Hash" {
				inDocument[strings.TrimPrefix(line.section+"."+k.String(), ".")] = true
			}
		}
	}
	for _, name := range secretKeys {
		delete(inDocument, "server."+name) // the plain form of NAME.env and its like
		delete(inDocument, "agent."+name)
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !inDocument[name] && !isFormOfSecret.MatchString(name) {
			t.Errorf("%s is not in agent.toml", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inDocument)) {
		if !options[name] {
			t.Errorf("%s is in agent.toml and does not exist", name)
		}
	}
}

// TestCommentedLinesAreTheDefaults loads agent.toml with those lines live and expects nothing to change.
func TestCommentedLinesAreTheDefaults(t *testing.T) {
	defaults := defaultRaw()
	server, sync, alert := &rawServer{}, &rawSync{}, &rawAlert{}
	server.setDefaults()
	sync.setDefaults()
	alert.setDefaults()
	sections := map[string]reflect.Value{
		"": reflect.ValueOf(defaults).Elem(), "agent": reflect.ValueOf(&defaults.Agent).Elem(), "server": reflect.ValueOf(server).Elem(), "sync": reflect.ValueOf(sync).Elem(),
		"alert": reflect.ValueOf(alert).Elem()}
	for _, line := range documented(t) {
		name, value, _ := strings.Cut(line.text, " = ")
		if !line.isCommented || slices.Contains(secretKeys, name) && value != `""` {
			continue
		}
		var values map[string]any
		if _, err := toml.Decode(line.text, &values); err != nil {
			t.Fatal(err)
		}
		want := sections[line.section]
		got := reflect.New(want.Type()).Elem()
		got.Set(want)
		l := newLoader(nil)
		l.decodeStruct(got, values, nil)
		if len(l.problems) > 0 {
			t.Error(l.problems)
		}
		// An empty list in the file and no list are the same, an empty secret and none, too.
		if shown := toString(t, got); shown != toString(t, want) {
			t.Errorf("%q is not the default", line.text)
		}
	}
}

func toString(t *testing.T, value reflect.Value) string {
	t.Helper()
	text := strings.Builder{}
	for i := range value.NumField() {
		field := value.Field(i)
		if field.Kind() == reflect.Slice && field.Len() == 0 {
			continue
		}
		if secret, ok := field.Interface().(rawSecret); ok && secret.isEmpty() {
			continue
		}
		text.WriteString(value.Type().Field(i).Name + "=")
		text.WriteString(fmt.Sprintf("%+v", field) + "\n")
	}
	return text.String()
}

func TestDocumentIsValidAsItStands(t *testing.T) {
	// A home, because the state folder is guessed from it for users other than root.
	cfg, err := Load(filepath.FromSlash(document), environment(map[string]string{"HOME": t.TempDir()}))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range cfg.Warnings {
		if warning.Key != "sync.website.local" { // the folder of the example is not here
			t.Errorf("warning: %v", warning)
		}
	}
}
