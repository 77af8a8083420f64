package config

import "time"

// NameTemplate makes names out of names and times. The zero template is none.
type NameTemplate struct{ text string }

// IsZero reports that there is no template.
func (t NameTemplate) IsZero() bool { return t.text == "" }

// Expand returns the name for a file: rel is its path, of which the last element counts.
func (t NameTemplate) Expand(rel string, modified, now time.Time) string { panic("skeleton") }
