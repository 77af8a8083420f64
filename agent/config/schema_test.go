package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

var updateSchema = flag.Bool("update-schema", false, "write docs/agent.schema.json")

const schemaFile = "../../docs/agent.schema.json"

func TestTheStoredSchemaIsFresh(t *testing.T) {
	if *updateSchema {
		if err := os.WriteFile(schemaFile, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(stored, []byte("\r\n"), []byte("\n")), Schema()) {
		t.Error("docs/agent.schema.json is not what the options are: go test ./agent/config -run Schema -update-schema")
	}
}

// unfit returns what is wrong with a value by a schema, "" for nothing. It knows what Schema uses, and fails at all else.
func unfit(t *testing.T, s schema, value any) string {
	t.Helper()
	for word, with := range s {
		if problem := unfitFor(t, s, word, with, value); problem != "" {
			return problem
		}
	}
	return ""
}

func unfitFor(t *testing.T, s schema, word string, with, value any) string {
	t.Helper()
	object, isObject := value.(map[string]any)
	text, isText := value.(string)
	switch word {
	case "default", "title", "$schema":
	case "type":
		_, isBool := value.(bool)
		list, isList := value.([]any)
		number, isNumber := value.(float64)
		fits := map[any]bool{"string": isText, "object": isObject, "boolean": isBool, "array": isList, "integer": isNumber && number == float64(int64(number))}[with]
		if !fits {
			return fmt.Sprintf("%v is no %v", value, with)
		}
		if items, ok := s["items"].(schema); ok {
			for _, item := range list {
				if problem := unfit(t, items, item); problem != "" {
					return problem
				}
			}
		}
	case "items": // with type
	case "enum":
		if !slices.Contains(with.([]any), value) {
			return fmt.Sprintf("%v is none of %v", value, with)
		}
	case "pattern":
		if isText && !regexp.MustCompile(with.(string)).MatchString(text) {
			return fmt.Sprintf("%q is not like %v", text, with)
		}
	case "minLength":
		if isText && float64(len(text)) < with.(float64) {
			return fmt.Sprintf("%q is too short", text)
		}
	case "maxLength":
		if isText && float64(len(text)) > with.(float64) {
			return fmt.Sprintf("%q is too long", text)
		}
	case "minimum":
		if number, ok := value.(float64); ok && number < with.(float64) {
			return fmt.Sprintf("%v is too small", value)
		}
	case "anyOf":
		problems := []string{}
		for _, alternative := range with.([]any) {
			problem := unfit(t, alternative.(schema), value)
			if problem == "" {
				return ""
			}
			problems = append(problems, problem)
		}
		return strings.Join(problems, " and ")
	case "required":
		for _, name := range with.([]any) {
			if _, ok := object[name.(string)]; isObject && !ok {
				return fmt.Sprintf("%v is missing", name)
			}
		}
	case "properties":
		for name, property := range with.(schema) {
			if inner, ok := object[name]; ok {
				if problem := unfit(t, property.(schema), inner); problem != "" {
					return name + ": " + problem
				}
			}
		}
	case "additionalProperties":
		properties, _ := s["properties"].(schema)
		for name, inner := range object {
			if _, known := properties[name]; known {
				continue
			}
			if with == false {
				return "unknown key " + name
			}
			if problem := unfit(t, with.(schema), inner); problem != "" {
				return name + ": " + problem
			}
		}
	case "propertyNames":
		for name := range object {
			if problem := unfit(t, with.(schema), name); problem != "" {
				return problem
			}
		}
	default:
		t.Fatalf("the schema uses %q, which this test does not know", word)
	}
	return ""
}

// asJSON is what an editor sees of a TOML document.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	var tables map[string]any
	if _, err := toml.Decode(text, &tables); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(tables)
	if err != nil {
		t.Fatal(err)
	}
	return decoded[any](t, encoded)
}

func decoded[T any](t *testing.T, text []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// sectionOf puts an option where it belongs, with what is required there.
var sectionOf = map[string]string{
	"": "%s\n", "agent": "[agent]\n%s\n", "server": "[server.a]\naddress = \"h\"\n%s\n",
	"sync":  "[sync.a]\nserver = \"a\"\nlocal = \".\"\nremote = \"r\"\ndirection = \"up\"\n%s\n",
	"alert": "[alert.a]\n%s\n",
}

// TestTheSchemaKnowsEveryOption holds the schema against every line of agent.toml, as it is, with a value of another type and
// with another name.
func TestTheSchemaKnowsEveryOption(t *testing.T) {
	s := decoded[schema](t, Schema())
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if problem := unfit(t, s, asJSON(t, string(text))); problem != "" {
		t.Errorf("agent.toml: %s", problem)
	}
	for _, option := range documented(t) {
		name, _, _ := strings.Cut(option.text, " = ")
		in := func(line string) any {
			section := sectionOf[option.section]
			for _, required := range []string{"address", "server", "local", "remote", "direction"} { // never twice
				if name == required {
					section = regexp.MustCompile(`(?m)^`+required+` = .*\n`).ReplaceAllString(section, "")
				}
			}
			return asJSON(t, fmt.Sprintf(section, line))
		}
		if problem := unfit(t, s, in(option.text)); problem != "" {
			t.Errorf("%s: %s", option.text, problem)
		}
		for _, wrong := range []string{name + " = 1979-05-27", name + "x = 1", name + " = { no_such_key = 1 }", name + " = [[[1]]]"} {
			if strings.HasSuffix(wrong, "1979-05-27") { // JSON has no dates
				wrong = name + " = 1.5"
			}
			if problem := unfit(t, s, in(wrong)); problem == "" {
				t.Errorf("%q fits the schema", wrong)
			}
		}
	}
}

// TestTheSchemaRefusesWhatTheDecoderDoes takes the files of the tables of problems that are about types, words and names.
func TestTheSchemaRefusesWhatTheDecoderDoes(t *testing.T) {
	s := decoded[schema](t, Schema())
	kinds := regexp.MustCompile(`unknown key|must be |is not known: write|has no unit|is required|is not a duration|is not a size|a name (begins|consists)`)
	for _, c := range problemTable {
		if !kinds.MatchString(c.want) || c.sentence == "addresses" || strings.Contains(c.want, "not valid TOML") || strings.Contains(c.want, "defined a second time") ||
			strings.Contains(c.want, `"Lisbon"`) {
			continue
		}
		if problem := unfit(t, s, asJSON(t, c.text)); problem == "" {
			t.Errorf("%s: fits the schema", c.sentence)
		}
	}
	for _, c := range []string{minimal, optionsFile, everySetting} {
		if problem := unfit(t, s, asJSON(t, c)); problem != "" {
			t.Errorf("%s\n%s", problem, c)
		}
	}
}

// TestShownFitsTheSchema: what config show prints as JSON is the same configuration.
func TestShownFitsTheSchema(t *testing.T) {
	for _, text := range []string{minimal, optionsFile} {
		mustLoad(t, text, nil)
		effective, err := LoadEffective("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere", "ProgramData": "/nowhere"}))
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(effective)
		if err != nil {
			t.Fatal(err)
		}
		if problem := unfit(t, decoded[schema](t, Schema()), decoded[any](t, encoded)); problem != "" {
			t.Errorf("%s in %s", problem, encoded)
		}
	}
}

func TestNamesInTheSchema(t *testing.T) {
	pattern := regexp.MustCompile(namePattern)
	for _, name := range []string{"a", "_", "9.-_Z", "", "-a", ".a", "a b", "é", "a\n", "a/b"} {
		if pattern.MatchString(name) != (checkName(name) == "") {
			t.Errorf("%q: %q", name, checkName(name))
		}
	}
}
