package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Effective is a configuration with all that was written or goes without saying, and without secrets.
type Effective struct {
	Config   *Config // without the secrets that do not stand in a file of it
	document table
	loader   *loader
}

// table is a TOML table in its order. Values are strings, bool, int64, []any of such, and tables.
type table []entry

type entry struct {
	key   string
	value any
}

// MarshalJSON is an object.
func (t table) MarshalJSON() ([]byte, error) {
	object := map[string]any{}
	for _, e := range t {
		object[e.key] = e.value
	}
	return json.Marshal(object)
}

// LoadEffective is [Load] for showing. Secrets that are elsewhere are not asked for.
func LoadEffective(path string, env func(string) string) (*Effective, error) {
	l := newLoader(env)
	l.withoutSecrets = true
	cfg, file, err := l.load(path)
	if err != nil {
		return nil, err
	}
	file.Agent.StateDir = cfg.Agent.StateDir
	e := &Effective{Config: cfg, loader: l}
	for _, part := range l.shownStruct(reflect.ValueOf(file).Elem(), nil) {
		if part.key != "include" { // its files are in here
			e.document = append(e.document, part)
		}
	}
	return e, nil
}

// MarshalJSON is the configuration as an object, in the form that the schema describes.
func (e *Effective) MarshalJSON() ([]byte, error) { return json.Marshal(e.document) }

// TOML is a configuration file that means the same, but for secrets.
func (e *Effective) TOML() string {
	var b strings.Builder
	for _, section := range e.document {
		if section.key == "agent" {
			writeSection(&b, "[agent]", section.value.(table))
			continue
		}
		for _, named := range section.value.(table) {
			at := key{section.key, named.key}
			fmt.Fprintf(&b, "\n# %s\n", e.loader.locations.of(at))
			writeSection(&b, "["+at.String()+"]", named.value.(table))
		}
	}
	return b.String()
}

func writeSection(b *strings.Builder, header string, section table) {
	fmt.Fprintln(b, header)
	for _, e := range section {
		fmt.Fprintf(b, "%s = %s\n", e.key, written(e.value))
	}
}

// written is a value on one line of TOML.
func written(value any) string {
	switch v := value.(type) {
	case string:
		return Quote(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = written(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case table:
		items := make([]string, len(v))
		for i, e := range v {
			items[i] = e.key + " = " + written(e.value)
		}
		return "{ " + strings.Join(items, ", ") + " }"
	}
	return fmt.Sprint(value)
}

// Quote writes text as a basic string of TOML, which a key may be, too.
func Quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// shownStruct returns the fields of a raw struct.
func (l *loader) shownStruct(of reflect.Value, at key) table {
	t := table{}
	for i := range of.NumField() {
		tag := of.Type().Field(i).Tag
		name := tag.Get("toml")
		if name == "" || l.isLeftOut(of, at, name) {
			continue
		}
		form := tag.Get("form")
		if hooks, ok := of.Interface().(rawHooks); ok && hooks.Shell { // no program of ours
			form = ""
		}
		t = append(t, entry{name, l.shown(of.Field(i), form, at.child(name))})
	}
	return t
}

// shown returns the value of a raw field.
func (l *loader) shown(of reflect.Value, form string, at key) any {
	switch v := of.Addr().Interface().(type) {
	case *rawSecret:
		return l.shownSecret(*v, at)
	case setter:
		if list, ok := v.(*stringOrList); ok && form == "command" {
			return l.shownCommand(*list, at)
		}
		return v.shown()
	}
	switch of.Kind() {
	case reflect.Struct:
		return l.shownStruct(of, at)
	case reflect.Map:
		t := table{}
		names := of.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			t = append(t, entry{name.String(), l.shownStruct(of.MapIndex(name).Elem(), at.child(name.String()))})
		}
		return t
	case reflect.Slice:
		return anyList(of.Interface().([]string))
	case reflect.String:
		if form == "path" {
			return l.path(at, of.String())
		}
	}
	return of.Interface()
}

// shownCommand has the program as it is run: relative to no file.
func (l *loader) shownCommand(command []string, at key) any {
	list := anyList(command)
	if len(command) > 0 && strings.ContainsAny(command[0], `/\`) {
		list[0] = l.path(at, command[0])
	}
	return list
}

// redactedProxy stands for user and password of a proxy.
const redactedProxy = "redacted"

// shownSecret is where the secret is, and never the secret itself.
func (l *loader) shownSecret(secret rawSecret, at key) any {
	switch {
	case secret.isEmpty():
		return ""
	case secret.literal == nil:
		t := l.shownStruct(reflect.ValueOf(&secret).Elem(), at)
		return slices.DeleteFunc(t, func(e entry) bool {
			list, isList := e.value.([]any)
			return e.value == "" || e.value == false || isList && len(list) == 0
		})
	}
	if address, problem := parseProxy(*secret.literal); problem == "" && at[len(at)-1] == "proxy" {
		if address.User != nil {
			address.User = url.UserPassword(redactedProxy, redactedProxy)
		}
		return address.String()
	}
	if address, err := url.Parse(*secret.literal); err == nil && at[len(at)-1] == "url" { // so that one sees where it leads
		return (&url.URL{Scheme: address.Scheme, Host: address.Host, Path: "/" + redactedProxy}).String()
	}
	return redacted
}

// isLeftOut reports keys that mean nothing beside others, which is told when they are written, and a user that comes from .netrc.
func (l *loader) isLeftOut(of reflect.Value, at key, name string) bool {
	switch file := of.Interface().(type) {
	case rawServer:
		return file.TLS == string(TLSNone) && slices.Contains(tlsKeys, name) ||
			name == "user" && file.Password.Netrc && !l.stands(at.child(name))
	case rawAlert:
		return slices.Contains(alertKinds, name) && !l.stands(at.child(name))
	case rawData:
		return file.Mode == string(DataPassive) && slices.Contains(activeKeys, name)
	}
	return false
}

func anyList(list []string) []any {
	values := make([]any, len(list))
	for i, item := range list {
		values[i] = item
	}
	return values
}

func (s *stringOrList) shown() any {
	if len(*s) == 1 {
		return (*s)[0]
	}
	return anyList(*s)
}

func (d *duration) shown() any {
	text, rest := "", time.Duration(*d)
	if days := rest / day; days > 0 {
		text, rest = strconv.Itoa(int(days))+"d", rest%day
	}
	if rest == 0 && text != "" {
		return text
	}
	text += rest.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
		if short, ok := strings.CutSuffix(text, "h0m"); ok {
			text = short + "h"
		}
	}
	return text
}

func (a *age) shown() any {
	if *a == 0 {
		return ""
	}
	return (*duration)(a).shown()
}

func (t *trust) shown() any {
	if *t == byDirection {
		return ""
	}
	return (*duration)(t).shown()
}

func (s *size) shown() any {
	best := ""
	for _, unit := range sizeUnits {
		text := strconv.FormatInt(int64(*s)/unit.bytes, 10) + unit.name
		if *s != 0 && int64(*s)%unit.bytes == 0 && (best == "" || len(text) < len(best)) {
			best = text
		}
	}
	return best
}

func (d *deletion) shown() any {
	if *d == deleteTrash {
		return string(deleteTrash)
	}
	return *d == deleteGone
}

func (a *rawAfter) shown() any {
	if a.word == afterMove {
		return table{{afterMove, a.move}}
	}
	return a.word
}

func (r *rawModeRules) shown() any {
	rules := []any{}
	for _, rule := range *r {
		rules = append(rules, table{{"match", anyList(rule.match)}, {"mode", rule.mode}})
	}
	return rules
}

func (m *MaxDelete) shown() any {
	if m.IsPercent {
		return m.String()
	}
	return int64(m.Count)
}

func (s *rawSchedules) shown() any {
	lines := []any{}
	for _, line := range *s {
		if len(line.words) == 1 && len(line.durations) == 0 {
			lines = append(lines, line.words[scheduleCron])
			continue
		}
		t := table{}
		for _, name := range scheduleKeys {
			if word, ok := line.words[name]; ok {
				t = append(t, entry{name, word})
			}
			if d, ok := line.durations[name]; ok {
				t = append(t, entry{name, (*duration)(&d).shown()})
			}
		}
		lines = append(lines, t)
	}
	return lines
}
