// Package config reads what a node was told: config.yaml, config.yaml.d, flags and environment, in k3s's order.
package config

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v2" // as k3s: YAML 1.1, in which 0644 is a number and yes is true

	"metalworks/lab/k3s/internal/layout"
)

// values holds every key as it was given, as the flags that k3s makes of it.
type values map[string][]string

// Read gathers the settings of a node of this role from the files, the arguments and the environment.
func Read(role Role, arguments []string) (*Settings, error) {
	flags, file, err := parseFlags(role, arguments)
	if err != nil {
		return nil, err
	}
	paths, err := configFiles(file)
	if err != nil {
		return nil, err
	}
	found := values{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := found.mergeFile(path, content); err != nil {
			return nil, err
		}
	}
	if err := found.check(role); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for name, given := range flags {
		found[name] = append(found[name], given...) // behind those of the files: of one value the last counts
	}
	found.mergeEnvironment()
	return settle(role, found)
}

// configFiles returns the file, where there is one, and the files beside it in the order of their names.
func configFiles(file string) ([]string, error) {
	var paths []string
	if _, err := os.Stat(file); err == nil {
		paths = append(paths, file)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	entries, err := os.ReadDir(file + ".d")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		ending := strings.ToLower(filepath.Ext(entry.Name()))
		if !entry.IsDir() && (ending == ".yaml" || ending == ".yml") {
			paths = append(paths, filepath.Join(file+".d", entry.Name()))
		}
	}
	return paths, nil
}

// mergeFile puts a file over those before it: a key replaces, `key+` adds.
func (v values) mergeFile(path string, content []byte) error {
	var document yaml.MapSlice
	if err := yaml.Unmarshal(content, &document); err != nil {
		return fmt.Errorf("%s does not hold keys and values in YAML: %w", path, err)
	}
	for _, item := range document {
		name, add := strings.CutSuffix(fmt.Sprint(item.Key), "+")
		var given []string
		switch value := item.Value.(type) {
		case []any:
			for _, each := range value {
				given = append(given, toText(each))
			}
		case yaml.MapSlice:
			return fmt.Errorf("%s: %s is neither a value nor a list of values", path, name)
		default:
			given = []string{toText(value)}
		}
		if add {
			given = append(slices.Clone(v[name]), given...)
		}
		v[name] = given
	}
	return nil
}

func toText(value any) string {
	if value == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprint(value))
}

// check skips the keys that a node of this role does not have, with k3s's warning, and refuses bad values.
func (v values) check(role Role) error {
	for name, given := range v {
		known, err := lookUp(role, name)
		if errors.Is(err, errNoSuchKey) {
			log.Printf("Unknown flag --%s found in config.yaml, skipping", name)
			delete(v, name)
			continue
		}
		if err == nil {
			err = known.checkGiven(given)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// checkGiven judges the values that count: all of a list, the last one otherwise.
func (k key) checkGiven(given []string) error {
	if k.kind != list && len(given) > 1 {
		given = given[len(given)-1:]
	}
	for _, value := range given {
		if k.kind == toggle {
			if _, err := strconv.ParseBool(value); err != nil {
				return fmt.Errorf("%q is not true or false", value)
			}
		}
		if k.check != nil && value != "" {
			if err := k.check(value); err != nil {
				return err
			}
		}
	}
	return nil
}

var errNoSuchKey = errors.New("k3s has no such key")

func lookUp(role Role, name string) (key, error) {
	known, found := keys[name]
	if slices.Contains(beyond, name) {
		return key{}, errors.New("k3s has this key, but the stand-in does not honour it")
	}
	if !found || known.serverOnly && role == Agent {
		return key{}, errNoSuchKey
	}
	return known, nil
}

// parseFlags reads the command line, where an unknown flag is an error, and returns the configuration's file, too.
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
		known, err := key{kind: text}, error(nil)
		if name != "config" {
			known, err = lookUp(role, name)
		}
		switch {
		case err != nil:
			return nil, "", fmt.Errorf("--%s: %w", name, err)
		case inline:
		case known.kind == toggle:
			value = "true"
		case i+1 < len(arguments):
			i++
			value = arguments[i]
		default:
			return nil, "", fmt.Errorf("--%s needs a value", name)
		}
		if name == "config" {
			file = value
			continue
		}
		if err := known.checkGiven([]string{value}); err != nil {
			return nil, "", fmt.Errorf("--%s: %w", name, err)
		}
		found[name] = append(found[name], value)
	}
	return found, file, nil
}

func (v values) mergeEnvironment() {
	for variable, name := range map[string]string{
		"K3S_TOKEN": "token", "K3S_TOKEN_FILE": "token-file", "K3S_URL": "server", "K3S_NODE_NAME": "node-name",
		"K3S_DATA_DIR": "data-dir",
	} {
		if value := os.Getenv(variable); value != "" && v[name] == nil {
			v[name] = []string{value}
		}
	}
}
