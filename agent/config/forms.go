package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// age is a duration that may be absent: "" is 0.
type age time.Duration

func (a *age) set(value any) string {
	if value == "" {
		*a = 0
		return ""
	}
	return (*duration)(a).set(value)
}

// trust is a duration too, and byDirection for "", for which 0 is another value.
type trust time.Duration

const byDirection trust = math.MinInt64

func (t *trust) set(value any) string {
	if value == "" {
		*t = byDirection
		return ""
	}
	return (*duration)(t).set(value)
}

// deletion is what delete says.
type deletion string

const (
	deleteNever deletion = ""
	deleteGone  deletion = "true"
	deleteTrash deletion = "trash"
)

func (d *deletion) set(value any) string {
	const forms = `true, false (both without quotes) or "trash"`
	switch v := value.(type) {
	case bool:
		*d = deleteNever
		if v {
			*d = deleteGone
		}
		return ""
	case string:
		if v != string(deleteTrash) {
			return fmt.Sprintf("%q is not known: write %s", v, forms)
		}
		*d = deleteTrash
		return ""
	}
	return fmt.Sprintf("must be %s, not %s", forms, kindOf(value))
}

// rawAfter is what after_upload and after_download say: a word, or a table with the folder to move to.
type rawAfter struct{ word, move string }

const (
	afterKeep   = "keep"
	afterDelete = "delete"
	afterMove   = "move"
)

func (a *rawAfter) set(value any) string {
	const forms = `"keep", "delete" or { move = "done/{date}/" }`
	switch v := value.(type) {
	case string:
		if v != afterKeep && v != afterDelete {
			return fmt.Sprintf("%q is not known: write %s", v, forms)
		}
		*a = rawAfter{word: v}
		return ""
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name != afterMove {
				return fmt.Sprintf("unknown key %q: write %s", name, forms)
			}
		}
		folder, ok := v[afterMove].(string)
		if !ok {
			return "needs the folder to move to: write " + forms
		}
		*a = rawAfter{afterMove, folder}
		return ""
	}
	return fmt.Sprintf("must be %s, not %s", forms, kindOf(value))
}

// The modes of sending a file.
const (
	modeWhole  = "whole"
	modeAppend = "append"
)

// rawModeRules are exceptions from mode, the last of which that matches a file counts.
type rawModeRules []rawModeRule

type rawModeRule struct {
	match []string
	mode  string
}

func (r *rawModeRules) set(value any) string {
	const form = `a list such as [{ match = ["*.log"], mode = "append" }]`
	tables, ok := value.([]map[string]any)
	if list, isList := value.([]any); isList {
		ok = true
		for _, item := range list {
			table, isTable := item.(map[string]any)
			ok = ok && isTable
			tables = append(tables, table)
		}
	}
	if !ok {
		return "must be " + form
	}
	*r = nil
	for _, table := range tables {
		rule := rawModeRule{}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			switch name {
			case "match":
				patterns := stringOrList{}
				if problem := patterns.set(table[name]); problem != "" {
					return "match " + problem
				}
				rule.match = patterns
			case "mode":
				rule.mode, _ = table[name].(string)
			default:
				return fmt.Sprintf("unknown key %q: write %s", name, form)
			}
		}
		switch {
		case len(rule.match) == 0:
			return "a rule without match: write " + form
		case rule.mode != modeWhole && rule.mode != modeAppend:
			return fmt.Sprintf(`the rule for %q has a mode that is neither "whole" nor "append": write %s`, rule.match, form)
		}
		*r = append(*r, rule)
	}
	return ""
}
