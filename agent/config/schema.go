package config

import (
	"encoding/json"
	"reflect"
	"strings"
)

// schema is a JSON schema, or a part of one.
type schema = map[string]any

// Schema is a JSON schema (draft 2020-12) of agent.toml, for editors. It accepts what the decoder accepts; what depends on other
// keys, on files and on the system is left to [Load].
func Schema() []byte {
	whole := schemaOf(reflect.ValueOf(defaultRaw()).Elem(), "")
	whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	whole["title"] = "agent.toml of ftpferry"
	text, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		panic("config: " + err.Error()) // of strings, numbers and lists alone
	}
	return append(text, '\n')
}

// schemaOf describes a raw field, which holds its default.
func schemaOf(of reflect.Value, words string) schema {
	switch v := of.Addr().Interface().(type) {
	case *rawSecret:
		return schema{"anyOf": []any{schema{"type": "string"}, schemaOfStruct(of)}}
	case setter:
		s := v.schema()
		s["default"] = v.shown()
		return s
	}
	switch of.Kind() {
	case reflect.Struct:
		return schemaOfStruct(of)
	case reflect.Map:
		element := reflect.New(of.Type().Elem().Elem())
		element.Interface().(interface{ setDefaults() }).setDefaults()
		return schema{"type": "object", "additionalProperties": schemaOfStruct(element.Elem()),
			"propertyNames": schema{"pattern": namePattern, "maxLength": longestName}}
	case reflect.Slice:
		return schema{"type": "array", "items": schema{"type": "string"}, "default": of.Interface()}
	case reflect.Bool:
		return schema{"type": "boolean", "default": of.Bool()}
	case reflect.Int64:
		return schema{"type": "integer", "default": of.Int()}
	case reflect.String:
		s := schema{"type": "string"}
		if words != "" {
			s["enum"] = strings.Fields(words)
		}
		if words == "" || of.String() != "" {
			s["default"] = of.String()
		}
		return s
	}
	panic("config: a raw type that the schema does not know: " + of.Type().String())
}

func schemaOfStruct(of reflect.Value) schema {
	properties, required := schema{}, []string{}
	for i := range of.NumField() {
		tag := of.Type().Field(i).Tag
		name := tag.Get("toml")
		if name == "" {
			continue
		}
		property := schemaOf(of.Field(i), tag.Get("words"))
		if tag.Get("required") != "" {
			required = append(required, name)
			delete(property, "default")
		}
		properties[name] = property
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func eitherOf(alternatives ...any) schema { return schema{"anyOf": alternatives} }

var (
	stringSchema = schema{"type": "string"}
	listSchema   = schema{"type": "array", "items": stringSchema}
)

func (*stringOrList) schema() schema { return eitherOf(stringSchema, listSchema) }

// durationPattern is what [ParseDuration] takes, but for a sign.
const durationPattern = `^([0-9]+d)?((([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*|0)$`

func (*duration) schema() schema {
	return schema{"type": "string", "minLength": 1, "pattern": durationPattern}
}

func (*age) schema() schema { return schema{"type": "string", "pattern": durationPattern} }

func (*trust) schema() schema { return schema{"type": "string", "pattern": durationPattern} }

func (*size) schema() schema {
	var units []string
	for _, unit := range sizeUnits {
		units = append(units, unit.name)
	}
	return schema{"type": "string", "pattern": `^([0-9]+ *(` + strings.Join(units, "|") + `))?$`}
}

func (*deletion) schema() schema { return schema{"enum": []any{true, false, string(deleteTrash)}} }

func (*rawAfter) schema() schema {
	return eitherOf(schema{"enum": []any{afterKeep, afterDelete}}, closed(schema{afterMove: stringSchema}, afterMove))
}

func (*rawModeRules) schema() schema {
	return schema{"type": "array", "items": closed(schema{
		"match": eitherOf(stringSchema, listSchema), "mode": schema{"enum": []any{modeWhole, modeAppend}}}, "match", "mode")}
}

func (*MaxDelete) schema() schema {
	return eitherOf(schema{"type": "integer", "minimum": 0}, schema{"type": "string", "pattern": `^[0-9.]+%$`})
}

func (*rawSchedules) schema() schema {
	properties := schema{}
	for _, name := range scheduleKeys {
		properties[name] = stringSchema
		if words := scheduleWords[name]; words != nil {
			properties[name] = schema{"enum": words}
		}
	}
	for _, name := range []string{scheduleGrace, scheduleJitter} {
		properties[name] = new(duration).schema()
	}
	line := eitherOf(stringSchema, closed(properties, scheduleCron))
	return eitherOf(stringSchema, closed(properties, scheduleCron), schema{"type": "array", "items": line})
}

// closed is an object with these properties and no others.
func closed(properties schema, required ...string) schema {
	return schema{"type": "object", "properties": properties, "additionalProperties": false, "required": required}
}
