// Package config reads what a node was told: config.yaml, config.yaml.d, flags and environment, in k3s's order.
package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"metalworks/lab/k3s/internal/layout"
)

// values holds every key as it was given; a later source replaces an earlier one, as k3s does.
type values map[string][]string

// Read gathers the settings of a node of this role from the files, the arguments and the environment.
func Read(role Role, arguments []string) (*Settings, error) {
	flags, file, err := parseFlags(role, arguments)
	if err != nil {
		return nil, err
	}
	found := values{}
	paths, err := configFiles(file)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := found.mergeFile(role, path, content); err != nil {
			return nil, err
		}
	}
	for name, value := range flags {
		found[name] = value
	}
	found.mergeEnvironment()
	return settle(role, found)
}

func configFiles(file string) ([]string, error) {
	var paths []string
	if _, err := os.Stat(file); err == nil {
		paths = append(paths, file)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	more, err := filepath.Glob(file + ".d/*.yaml")
	if err != nil {
		return nil, err
	}
	sort.Strings(more)
	return append(paths, more...), nil
}

func (v values) mergeFile(role Role, path string, content []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return fmt.Errorf("%s is not YAML: %w", path, err)
	}
	if len(document.Content) == 0 {
		return nil
	}
	mapping := document.Content[0]
	if mapping.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: the top must be keys and values, such as `node-name: metal-1`", path)
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if err := v.mergeKey(role, path, mapping.Content[i], mapping.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (v values) mergeKey(role Role, path string, name, value *yaml.Node) error {
	where := fmt.Sprintf("%s line %d", path, name.Line)
	plain, add := strings.CutSuffix(name.Value, "+") // `key+:` appends to what earlier files said
	known, err := lookUp(role, plain)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	var given []string
	switch {
	case value.Kind == yaml.ScalarNode:
		given = []string{value.Value}
	case value.Kind == yaml.SequenceNode && known.kind == list:
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return fmt.Errorf("%s: %s: every item must be one value", where, plain)
			}
			given = append(given, item.Value)
		}
	default:
		return fmt.Errorf("%s: %s must be %s", where, plain, known.kind)
	}
	if err := known.checkAll(given); err != nil {
		return fmt.Errorf("%s: %s: %w", where, plain, err)
	}
	if add && known.kind == list {
		given = append(append([]string{}, v[plain]...), given...)
	}
	v[plain] = given
	return nil
}

func (k key) checkAll(given []string) error {
	for _, value := range given {
		if k.kind == toggle && value != "true" && value != "false" {
			return fmt.Errorf("%q is not true or false", value)
		}
		if k.check != nil {
			if err := k.check(value); err != nil {
				return err
			}
		}
	}
	return nil
}

func lookUp(role Role, name string) (key, error) {
	known, found := keys[name]
	if !found {
		return key{}, fmt.Errorf("unknown key %q, which the stand-in does not honour: write %s", name, suggestion(name))
	}
	if known.serverOnly && role == Agent {
		return key{}, fmt.Errorf("the key %q is for servers: take it out of the agent's configuration", name)
	}
	return known, nil
}

func suggestion(name string) string {
	var names []string
	for known := range keys {
		if distance(known, name) <= 2 {
			return fmt.Sprintf("%q instead", known)
		}
		names = append(names, known)
	}
	sort.Strings(names)
	return "one of " + strings.Join(names, ", ")
}

// distance is the number of edits between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost++
			}
			previous = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func parseFlags(role Role, arguments []string) (values, string, error) {
	found, file := values{}, layout.ConfigFile
	if path := os.Getenv("K3S_CONFIG_FILE"); path != "" {
		file = path
	}
	for i := 0; i < len(arguments); i++ {
		name, isFlag := strings.CutPrefix(arguments[i], "--")
		if !isFlag {
			return nil, "", fmt.Errorf("unexpected argument %q: options are written --key value", arguments[i])
		}
		name, value, inline := strings.Cut(name, "=")
		if name == "config" {
			name = "config-file"
		}
		known, err := lookUp(role, name)
		if name != "config-file" && err != nil {
			return nil, "", err
		}
		switch {
		case inline:
		case known.kind == toggle && name != "config-file":
			value = "true"
		case i+1 < len(arguments):
			i++
			value = arguments[i]
		default:
			return nil, "", fmt.Errorf("--%s needs a value", name)
		}
		if name == "config-file" {
			file = value
			continue
		}
		if err := known.checkAll([]string{value}); err != nil {
			return nil, "", fmt.Errorf("--%s: %w", name, err)
		}
		if known.kind == list {
			value := append(found[name], value)
			found[name] = value
		} else {
			found[name] = []string{value}
		}
	}
	return found, file, nil
}

func (v values) mergeEnvironment() {
	for variable, name := range map[string]string{
		"K3S_TOKEN": "token", "K3S_TOKEN_FILE": "token-file", "K3S_URL": "server", "K3S_NODE_NAME": "node-name",
	} {
		if value := os.Getenv(variable); value != "" && v[name] == nil {
			v[name] = []string{value}
		}
	}
}
