package config

import (
	"maps"
	"reflect"
	"slices"
)

// secretKeys are the keys whose values no message repeats, plainKeys all others.
var secretKeys, plainKeys = optionKeys(reflect.TypeFor[raw]())

// optionKeys are the names of the options in a raw type, each once.
func optionKeys(of reflect.Type) (secret, plain []string) {
	names := map[string]bool{} // is it a secret?
	var collect func(reflect.Type)
	collect = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Map, reflect.Pointer:
			collect(of.Elem())
		case reflect.Struct:
			for i := range of.NumField() {
				field := of.Field(i)
				if name := field.Tag.Get("toml"); name != "" {
					names[name] = names[name] || field.Type == reflect.TypeFor[rawSecret]()
					collect(field.Type)
				}
			}
		}
	}
	collect(of)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] {
			secret = append(secret, name)
		} else {
			plain = append(plain, name)
		}
	}
	return secret, plain
}

// secretVariables are the variables of the environment that secrets stand in.
func secretVariables(of reflect.Value) (names []string) {
	switch of.Kind() {
	case reflect.Pointer:
		return secretVariables(of.Elem())
	case reflect.Map:
		for _, element := range of.Seq2() {
			names = append(names, secretVariables(element)...)
		}
	case reflect.Struct:
		if secret, ok := of.Interface().(rawSecret); ok {
			return []string{secret.Env}
		}
		for i := range of.NumField() {
			if of.Type().Field(i).IsExported() {
				names = append(names, secretVariables(of.Field(i))...)
			}
		}
	}
	return names
}
