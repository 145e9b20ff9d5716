// config.go reads the configuration: flags over the process environment over
// .env. The table of variables, and the values they take, are in settings.go.

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/joho/godotenv"

	"perago/secret"
	"perago/starlib/diag"
	"perago/workspace/lakefs"
)

// config is the whole configuration, checked, defaults filled in.
type config struct {
	Conductor struct {
		URL         string // ends in /api; "" when not configured
		Key, Secret secret.String
	}
	LakeFS struct {
		URL         string // without /api/v1; "" when not configured
		Key, Secret secret.String
		ObjectHosts lakefs.Hosts // that pre-signed URLs may lead to; none: objects go through lakeFS
	}
	WorkspaceRoot, LogRoot, CacheRoot string // "" only where the user has no cache folder

	CacheMax            int64 // bytes
	TransferConcurrency int
	LogFileMax          int64 // bytes
	LogTotalMax         int64 // bytes
	LogRetention        time.Duration
	LogLevel            slog.Level
	WorkerID            string // "": made of the prefix
	WorkerIDPrefix      string // "": the file's stem
	ExecutionMode       string // process, thread
	Isolation           string // required, best-effort; "": as the system and the mode have it
	MemoryMax           int64  // bytes
	BodySecondsMax      int    // 0 is no ceiling
	GCTTL, GCInterval   time.Duration
	KeepFailed          bool
	ForceKillAfter      *time.Duration // nil: never
	ReasonMax           int            // characters
	PollIntervalMax     time.Duration
	Fence               string // auto, server, client
	HTTPAddr            string // "": off

	// Warnings holds a sentence for every PERAGO_ variable that perago does not
	// know, and one for a file with credentials that others can read.
	Warnings []string
}

// configFlags adds --env-file and the flags of the settings of these commands to
// fs, and returns what reads the configuration once fs is parsed.
func (a *app) configFlags(fs *flag.FlagSet, on scope) func() (*config, error) {
	envFile := fs.String("env-file", "", "read `FILE` instead of .env")
	given := map[string]string{}
	for _, s := range settings() {
		if s.flag != "" && s.on&on != 0 {
			fs.Var(settingFlag{s, given}, s.flag, s.rule)
		}
	}
	return func() (*config, error) { return a.readConfig(*envFile, given) }
}

// settingFlag is the flag that stands over a variable.
type settingFlag struct {
	setting
	given map[string]string // by the name of the variable
}

func (f settingFlag) String() string { return f.usual }

// Set implements flag.Value.
func (f settingFlag) Set(v string) error {
	f.given[f.name] = v
	return f.set(&config{}, v)
}

// envFileFlag is for commands that only look whether the configuration is whole.
func (a *app) envFileFlag(fs *flag.FlagSet) func() (*config, error) {
	envFile := fs.String("env-file", "", "read `FILE` instead of .env")
	return func() (*config, error) { return a.readConfig(*envFile, nil) }
}

// readConfig reads every setting and reports every bad one.
func (a *app) readConfig(envFile string, flags map[string]string) (*config, error) {
	layers := []layer{{"flag", flags}, {"environment", environment(a.environ)}}
	file, err := readEnvFile(envFile)
	if err != nil {
		return nil, err
	}
	layers = append(layers, file)
	c := &config{}
	complaints := c.fill(layers)
	complaints = append(complaints, c.halfGroups(layers)...)
	if len(complaints) > 0 {
		return nil, environmentError("`perago doctor` checks the configuration as a whole",
			"configuration:\n%s", strings.Join(complaints, "\n"))
	}
	c.Warnings = unknownVariables(layers)
	if sentence := readableByOthers(file); sentence != "" {
		c.Warnings = append(c.Warnings, sentence)
	}
	return c, nil
}

// layer is one place that settings come from.
type layer struct {
	from   string // how messages call it
	values map[string]string
}

// lookup finds a variable in the first layer that has it; an empty value counts as unset.
func lookup(layers []layer, name string) (value, from string, ok bool) {
	for _, l := range layers {
		if v := strings.TrimSpace(l.values[name]); v != "" {
			return v, l.from, true
		}
	}
	return "", "", false
}

func (c *config) fill(layers []layer) (complaints []string) {
	for _, s := range settings() {
		value, from, ok := lookup(layers, s.name)
		if !ok {
			value, from = s.usual, "default"
		}
		if value == "" {
			continue
		}
		shown := fmt.Sprintf("%s=%q (%s)", s.name, diag.Shorten(value), from)
		if s.secret {
			shown = fmt.Sprintf("%s (%s)", s.name, from)
		}
		if strings.Contains(strings.ToLower(value), "replace-me") {
			complaints = append(complaints, fmt.Sprintf("%s (%s): the placeholder replace-me is still there; want %s", s.name, from, s.rule))
			continue
		}
		if err := s.set(c, value); err != nil {
			if hidden := (*hiddenValue)(nil); errors.As(err, &hidden) {
				shown = fmt.Sprintf("%s (%s)", s.name, from)
			}
			complaints = append(complaints, fmt.Sprintf("%s: %v", shown, err))
		}
	}
	c.defaultRoots()
	return complaints
}

// defaultRoots puts the folders that are not configured under the user's cache folder.
func (c *config) defaultRoots() {
	base, err := os.UserCacheDir()
	if err != nil {
		return // who needs a root says so: *config.root
	}
	for root, name := range map[*string]string{&c.WorkspaceRoot: "workspaces", &c.LogRoot: "logs", &c.CacheRoot: "cache"} {
		if *root == "" {
			*root = filepath.Join(base, "perago", name)
		}
	}
}

// halfGroups names what is missing of a group of variables that has only a part.
func (c *config) halfGroups(layers []layer) (complaints []string) {
	for _, group := range credentialGroups() {
		var have, missing []string
		for _, name := range group {
			if _, _, ok := lookup(layers, name); ok {
				have = append(have, name)
			} else {
				missing = append(missing, name)
			}
		}
		if len(have) > 0 && len(missing) > 0 {
			complaints = append(complaints, fmt.Sprintf("%s is missing: %s is set, and they go together",
				strings.Join(missing, " and "), strings.Join(have, " and ")))
		}
	}
	return complaints
}

// unknownVariables finds PERAGO_ names that are nobody's, the usual typo.
func unknownVariables(layers []layer) (sentences []string) {
	var known []string
	for _, s := range settings() {
		known = append(known, s.name)
	}
	for _, l := range layers {
		for _, name := range slices.Sorted(maps.Keys(l.values)) {
			if !strings.HasPrefix(name, "PERAGO_") || slices.Contains(known, name) {
				continue
			}
			sentence := fmt.Sprintf("%s (%s) is not a variable that perago knows", name, l.from)
			if near := diag.Nearest(name, known); near != "" {
				sentence += "; did you mean " + near + "?"
			}
			sentences = append(sentences, sentence)
		}
	}
	return sentences
}

// readableByOthers is a sentence about a file that has a secret and is not its
// owner's alone. It is a warning: in a container the file may well be mounted so,
// and nobody else is there.
func readableByOthers(file layer) string {
	info, err := os.Stat(file.from)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return ""
	}
	for _, s := range settings() {
		if s.secret && file.values[s.name] != "" {
			return fmt.Sprintf("%s holds %s and others than its owner may open it (mode %04o): chmod 600 %s",
				file.from, s.name, info.Mode().Perm(), file.from)
		}
	}
	return ""
}

func environment(environ []string) map[string]string {
	values := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		values[name] = value
	}
	return values
}

// readEnvFile reads path, or .env when path is "": only that one may be missing.
func readEnvFile(path string) (layer, error) {
	named := path != ""
	if !named {
		path = ".env"
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return layer{from: path}, nil
	}
	if err != nil {
		return layer{}, environmentError("", "read the configuration: %w", err)
	}
	values, err := parseEnvFile(path, data)
	if err != nil {
		return layer{}, err
	}
	return layer{path, values}, nil
}

// parseEnvFile reads NAME=value lines. Its error names the line and never
// shows it: a line that cannot be read may well hold a secret.
func parseEnvFile(path string, data []byte) (map[string]string, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	values, err := godotenv.UnmarshalBytes(data)
	if err == nil {
		return values, nil
	}
	lines := strings.SplitAfter(string(data), "\n")
	good := len(lines) - 1
	for good > 0 {
		if _, err := godotenv.Unmarshal(strings.Join(lines[:good], "")); err == nil {
			break
		}
		good--
	}
	return nil, environmentError("quote a value that holds a space, a quote, a `#` or a `$`: NAME='value'",
		"read the configuration: %s:%d: want NAME=value", path, good+1)
}
