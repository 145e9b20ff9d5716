package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"perago/e2e/servers"
)

const readAll = `
task(name = "bench.all", result = schema(size = int), workspace = workspace_spec())

def run(workspace, params):
    size = 0
    for path in workspace.glob("raw/*.bin"):
        size += len(path.read_bytes())
    (workspace / "size.txt").write_text(str(size) + " " + str(time.now()))
    return {"size": size}
`

const touchThree = `
task(name = "bench.three", result = schema(size = int), workspace = workspace_spec(pre = [require_dir("raw")]))

def run(workspace, params):
    size = 0
    for n in ["0001", "0500", "0999"]:
        size += len((workspace / "raw" / (n + ".bin")).read_bytes())
    (workspace / "three.txt").write_text(str(size) + " " + str(time.now()))
    return {"size": size}
`

const readTen = `
task(name = "bench.ten", result = schema(size = int), workspace = workspace_spec())

def run(workspace, params):
    size = 0
    for path in workspace.glob("ten/*.bin"):
        size += len(path.read_bytes())
    (workspace / "ten.txt").write_text(str(size) + " " + str(time.now()))
    return {"size": size}
`

// site is the servers, and perago set up for them.
type site struct {
	dir       string
	perago    string
	lakectl   string
	sdkworker string
	lakefs    *servers.LakeFS
	conductor *servers.Conductor
}

const repository = "bench"

// attempts measures whole attempts and the worker on real servers, beside
// lakectl and the runner of Conductor's SDK.
func attempts(ctx context.Context, dir string) ([]figure, error) {
	s, err := open(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer s.lakefs.Stop()
	defer s.conductor.Stop()
	var figures []figure
	for _, measure := range []func(context.Context) ([]figure, error){s.all, s.few, s.worker, s.throughput} {
		more, err := measure(ctx)
		figures = append(figures, more...)
		if err != nil {
			return figures, err
		}
	}
	return figures, nil
}

// open starts the servers, with a repository of 1,000 files of 10 KB, and 10 more.
func open(ctx context.Context, dir string) (s *site, err error) {
	s = &site{dir: dir, perago: filepath.Join(dir, "perago"), sdkworker: filepath.Join(dir, "sdkworker")}
	if s.lakectl, err = servers.BuildLakectl(ctx); err != nil {
		return nil, err
	}
	if err := goBuild(ctx, "perago/bench", s.sdkworker, "./sdkworker"); err != nil {
		return nil, err
	}
	if s.lakefs, err = servers.StartLakeFS(ctx, filepath.Join(dir, "lakefs"), nil); err != nil {
		return nil, err
	}
	if s.conductor, err = servers.StartConductor(ctx, filepath.Join(dir, "conductor"), nil); err != nil {
		s.lakefs.Stop()
		return nil, err
	}
	files := filepath.Join(dir, "files")
	for folder, count := range map[string]int{"raw": 1000, "ten": 10} {
		if err := writeFiles(filepath.Join(files, folder), count); err != nil {
			return nil, err
		}
	}
	for name, source := range map[string]string{"all.star": readAll, "three.star": touchThree, "ten.star": readTen} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			return nil, err
		}
	}
	if err := s.lakefs.CreateRepository(ctx, repository); err != nil {
		return nil, err
	}
	_, err = s.lakefs.Upload(ctx, repository, "main", files)
	return s, err
}

// writeFiles makes a folder with some files of 10 KB.
func writeFiles(dir string, count int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range count {
		content := strings.Repeat(fmt.Sprintf("%04d", i), 2500)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.bin", i)), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// env is what perago and lakectl need to know, with an empty cache in cache.
func (s *site) env(cache string) []string {
	return append(os.Environ(),
		"LAKECTL_SERVER_ENDPOINT_URL="+s.lakefs.URL, "LAKECTL_CREDENTIALS_ACCESS_KEY_ID="+servers.AccessKey,
		"LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY="+servers.SecretKey, "CONDUCTOR_SERVER_URL="+s.conductor.API(),
		"PERAGO_WORKSPACE_ROOT="+filepath.Join(cache, "workspaces"), "PERAGO_CACHE_ROOT="+filepath.Join(cache, "cache"),
		"PERAGO_LOG_ROOT="+filepath.Join(cache, "logs"))
}

// input is the envelope for the head of the branch.
func (s *site) input(ctx context.Context) (map[string]any, error) {
	commits, err := s.lakefs.FirstParents(ctx, repository, "main")
	if err != nil {
		return nil, err
	}
	return map[string]any{"params": map[string]any{}, "workspace": map[string]string{
		"repository": repository, "branch": "main", "refType": "commit", "ref": commits[0].ID}}, nil
}

// attempt runs a task once as a whole process, published, with an empty cache.
func (s *site) attempt(ctx context.Context, task string) (time.Duration, error) {
	cache, err := os.MkdirTemp(s.dir, "cache-")
	if err != nil {
		return 0, err
	}
	in, err := s.input(ctx)
	if err != nil {
		return 0, err
	}
	data, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	file := filepath.Join(cache, "input.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return 0, err
	}
	return s.timed(ctx, cache, s.perago, "run", filepath.Join(s.dir, task), "--input", file, "--publish")
}

func (s *site) timed(ctx context.Context, cache, name string, args ...string) (time.Duration, error) {
	return timed(ctx, "", s.env(cache), name, args...)
}

func (s *site) all(ctx context.Context) ([]figure, error) {
	var ours, theirs []time.Duration
	for i := range 7 {
		o, err := s.attempt(ctx, "all.star")
		if err != nil {
			return nil, err
		}
		to := filepath.Join(s.dir, fmt.Sprintf("download-%d", i)) + "/"
		t, err := s.timed(ctx, s.dir, s.lakectl, "fs", "download", "--recursive", "lakefs://"+repository+"/main/raw/", to)
		if err != nil {
			return nil, err
		}
		ours, theirs = append(ours, o), append(theirs, t)
	}
	o, t := median(ours), median(theirs)
	return []figure{{What: "an attempt that reads 1,000 files of 10 KB and publishes one", Got: round(o), Beside: "lakectl fs download of them " + round(t),
		Ratio: float64(o) / float64(t), Bound: "no slower", Holds: o <= t}}, nil
}

// few measures attempts that touch little of what there is.
func (s *site) few(ctx context.Context) ([]figure, error) {
	three, err := s.often(ctx, "three.star")
	if err != nil {
		return nil, err
	}
	ten, err := s.often(ctx, "ten.star")
	return []figure{
		{What: "an attempt that touches 3 of them and publishes one", Got: round(three), Bound: "under 0.15s", Holds: three < 150*time.Millisecond},
		{What: "an attempt that reads all 10 of a folder beside them and publishes one", Got: round(ten)},
	}, err
}

// often is the median of some attempts of a task.
func (s *site) often(ctx context.Context, task string) (time.Duration, error) {
	var times []time.Duration
	for range 7 {
		d, err := s.attempt(ctx, task)
		if err != nil {
			return 0, err
		}
		times = append(times, d)
	}
	return median(times), nil
}
