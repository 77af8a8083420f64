package config

import (
	"strings"
	"testing"
)

func TestWithoutAConfigurationItSaysHowToGetOne(t *testing.T) {
	t.Parallel()
	for here, want := range map[bool]string{true: "-c agent.toml", false: `"ftpferry init" writes one`} {
		if err := noConfiguration([]string{"/etc/a"}, here); !strings.Contains(err.Error(), "there is no /etc/a") || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v: %v", here, err)
		}
	}
}
