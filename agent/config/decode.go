package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decode fills target, which holds the defaults, from a TOML value.
func (l *loader) decode(target reflect.Value, value any, at key) {
	expected := ""
	switch t := target.Addr().Interface().(type) {
	case setter:
		if problem := t.set(value); problem != "" {
			l.faulty(at, "%s", problem)
		}
		return
	case *rawSecret:
		if literal, ok := value.(string); ok {
			t.literal = &literal
			return
		}
		expected = "a string in quotes or "
	}
	switch target.Kind() {
	case reflect.Struct, reflect.Map:
		table, ok := value.(map[string]any)
		switch {
		case !ok:
			l.faulty(at, "must be %sa table, not %s", expected, kindOf(value))
		case target.Kind() == reflect.Struct:
			l.decodeStruct(target, table, at)
		default:
			l.decodeNamed(target, table, at)
		}
	case reflect.String:
		v, ok := value.(string)
		l.expect(ok, "a string in quotes", value, at)
		target.SetString(v)
	case reflect.Bool:
		v, ok := value.(bool)
		l.expect(ok, "true or false (without quotes)", value, at)
		target.SetBool(v)
	case reflect.Int64:
		v, ok := value.(int64)
		l.expect(ok, "a whole number (without quotes)", value, at)
		target.SetInt(v)
	case reflect.Slice:
		v, ok := stringList(value)
		l.expect(ok, `a list of strings, such as ["*.tmp", "cache/"]`, value, at)
		target.Set(reflect.ValueOf(v))
	default:
		panic("config: a raw type that decode does not know: " + target.Type().String())
	}
}

func (l *loader) expect(ok bool, expected string, value any, at key) {
	if !ok {
		l.faulty(at, "must be %s, not %s", expected, kindOf(value))
	}
}

// decodeNamed fills a map of names to structs.
func (l *loader) decodeNamed(target reflect.Value, table map[string]any, at key) {
	target.Set(reflect.MakeMap(target.Type()))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if problem := checkName(name); problem != "" {
			l.fail(at.child(name), "%s", problem)
		}
		element := reflect.New(target.Type().Elem().Elem())
		element.Interface().(interface{ setDefaults() }).setDefaults()
		l.decode(element.Elem(), table[name], at.child(name))
		target.SetMapIndex(reflect.ValueOf(name), element)
	}
}

func (l *loader) decodeStruct(target reflect.Value, table map[string]any, at key) {
	fields := map[string]int{}
	for i := range target.NumField() {
		if tag := target.Type().Field(i).Tag.Get("toml"); tag != "" {
			fields[tag] = i
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		i, known := fields[name]
		if !known {
			l.unknown(name, table[name], slices.Sorted(maps.Keys(fields)), at)
			continue
		}
		l.decode(target.Field(i), table[name], at.child(name))
		if tag := target.Type().Field(i).Tag; tag.Get("words") != "" {
			l.oneOf(at.child(name), target.Field(i).String(), strings.Fields(tag.Get("words")), tag.Get("required") != "")
		}
	}
}

// oneOf checks a word against the words allowed for it. Of one that is required an empty one is missing, which is told elsewhere.
func (l *loader) oneOf(at key, value string, allowed []string, isRequired bool) {
	if slices.Contains(allowed, value) || isRequired && value == "" {
		return
	}
	words := make([]string, len(allowed))
	for i, word := range allowed {
		words[i] = strconv.Quote(word)
	}
	last := len(words) - 1
	l.faulty(at, "%q is not known: write %s or %s", value, strings.Join(words[:last], ", "), words[last])
}

func (l *loader) unknown(name string, value any, known []string, at key) {
	pattern := at.child(name)
	if len(pattern) > 2 {
		pattern = slices.Concat(pattern[:1], key{"*"}, pattern[2:])
	}
	text := fmt.Sprintf("unknown key %q", name)
	_, isTable := value.(map[string]any)
	switch near, place := nearest(name, known), elsewhere[strings.Join(pattern, ".")]; {
	case place != "":
		text += " (" + place + ")"
	case near != "":
		text += fmt.Sprintf(" (did you mean %q?)", near)
		l.faults[at.child(near).id()] = true // so that it is not reported as missing as well
	case isTable && len(at) == 2:
		text += fmt.Sprintf(" (a name with a dot stands in quotes: [%s.%q])", at[0], at[1]+"."+name)
	default:
		text += " (known here: " + strings.Join(known, ", ") + ")"
	}
	problem := l.problem(at.child(name), text)
	problem.Key = at.String()
	l.problems = append(l.problems, problem)
}

const (
	longestName = 64 // bytes
	// namePattern is what checkName takes, as a regular expression, for the schema.
	namePattern = `^[A-Za-z0-9_][A-Za-z0-9_.-]*$`
)

// checkName returns what is wrong with the name of a server or sync, or "". Names appear in commands (SERVER:PATH),
// logs and metrics, so they are short and plain.
func checkName(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
	}
	switch {
	case name == "":
		return "a name must not be empty"
	case len(name) > longestName:
		return fmt.Sprintf("the name has %d bytes; at most %d are allowed", len(name), longestName)
	case strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }):
		return "a name consists of the letters a to z and A to Z, digits, '-', '_' and '.'"
	case strings.ContainsRune("-.", rune(name[0])):
		return "a name begins with a letter, a digit or '_' (otherwise commands would take it for an option or a folder)"
	}
	return ""
}

// nearest returns the known key that is at most two edits away from name, or "".
func nearest(name string, known []string) string {
	best, bestDistance := "", 3
	for _, candidate := range known {
		if d := editDistance(strings.ToLower(name), candidate); d < bestDistance && d < len(candidate) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// editDistance is the Levenshtein distance in bytes, or 3 when the lengths alone are that far apart.
func editDistance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func stringList(value any) ([]string, bool) {
	items, ok := value.([]any)
	list := make([]string, len(items))
	for i, item := range items {
		text, isString := item.(string)
		ok = ok && isString
		list[i] = text
	}
	return list, ok
}

// kindOf names the type of a TOML value, for messages. It never shows the value, which may be a secret.
func kindOf(value any) string {
	switch v := value.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	case []any:
		for _, item := range v {
			if _, isString := item.(string); !isString {
				return "a list with " + kindOf(item)
			}
		}
		return "a list"
	}
	return "this"
}
