package roadrunner

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"
)

// patience is how long something that must happen may take on a busy machine.
const patience = 30 * time.Second

// must returns an environment variable that scripts/test-roadrunner.sh sets.
func must(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set; run scripts/test-roadrunner.sh", name)
	}
	return value
}

// roadrunner is a running RoadRunner in a directory of its own.
type roadrunner struct {
	t       *testing.T
	command *exec.Cmd
	log     *logBuffer
	dir     string
	http    string
	rpc     string
	pgpool  string
	ended   chan error
}

// logBuffer collects what a process writes.
type logBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start runs RoadRunner with rr-pgpool as a service and PHP workers behind HTTP. In `edit` a test
// changes the configuration.
func start(t *testing.T, edit func(string) string) *roadrunner {
	t.Helper()
	rr := &roadrunner{t: t, log: &logBuffer{}, dir: t.TempDir(), ended: make(chan error, 1)}
	rr.http, rr.rpc = freePort(t), freePort(t)
	rr.pgpool = "unix://" + filepath.Join(rr.dir, "pgpool.sock")
	worker, err := filepath.Abs("worker.php")
	if err != nil {
		t.Fatal(err)
	}
	config := edit(fmt.Sprintf(`version: '3'
rpc:
  listen: tcp://%s
server:
  command: "php %s"
  relay: pipes
  env:
    - PGPOOL_RPC: "%s"
http:
  address: %s
  pool:
    num_workers: 4
    destroy_timeout: 20s
logs:
  mode: production
  level: info
  output: stderr
service:
  pgpool:
    command: "%s serve -c .rr.yaml --exit-with-parent"
    process_num: 1
    remain_after_exit: true
    restart_sec: 1
    timeout_stop_sec: 10
pgpool:
  rpc:
    listen: %s
    forward: tcp://%s
  proxy:
    address: ''
  backends:
    primary:
      dsn: %s
`, rr.rpc, worker, rr.pgpool, rr.http, must(t, "RR_PGPOOL_BINARY"), rr.pgpool, rr.rpc, must(t, "TEST_DSN")))
	if err := os.WriteFile(filepath.Join(rr.dir, ".rr.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"serve", "-c", filepath.Join(rr.dir, ".rr.yaml")}
	if os.Getenv("RR") != "" {
		// Has it write the file that `rr stop` looks for.
		arguments = append(arguments, "-p")
	}
	rr.command = exec.Command(must(t, "RR_BINARY"), arguments...)
	rr.command.Stdout, rr.command.Stderr = rr.log, rr.log
	if err := rr.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { rr.ended <- rr.command.Wait() }()
	t.Cleanup(func() {
		_ = rr.command.Process.Kill()
		for _, pid := range rr.services() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if t.Failed() {
			t.Logf("RoadRunner's output:\n%s", rr.log)
		}
	})
	return rr
}

func unchanged(config string) string { return config }

// get requests a path: status and body.
func (rr *roadrunner) get(path string) (int, string, error) {
	response, err := http.Get("http://" + rr.http + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// eventually looks again and again until `holds` does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after %s: %s", patience, what)
		}
	}
}

// answers waits until requests are answered from the database.
func (rr *roadrunner) answers() {
	rr.t.Helper()
	eventually(rr.t, "a request is answered from the database", func() bool {
		status, body, err := rr.get("/")
		return err == nil && status == http.StatusOK && body == "42"
	})
}

// stop asks RoadRunner to stop: by `rr stop` where it is a released one, else by the signal that it
// sends.
func (rr *roadrunner) stop() {
	rr.t.Helper()
	if os.Getenv("RR") == "" {
		if err := rr.command.Process.Signal(syscall.SIGTERM); err != nil {
			rr.t.Fatal(err)
		}
		return
	}
	stop := exec.Command(must(rr.t, "RR_BINARY"), "stop", "-s", "-c", filepath.Join(rr.dir, ".rr.yaml"))
	stop.Dir = rr.dir
	if output, err := stop.CombinedOutput(); err != nil {
		rr.t.Fatalf("rr stop: %v: %s", err, output)
	}
}

// services finds the rr-pgpool processes of this directory, whoever their parent is.
func (rr *roadrunner) services() []int {
	var found []int
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		if err != nil || !strings.Contains(string(line), "rr-pgpool") {
			continue
		}
		cwd, err := os.Readlink(filepath.Join(filepath.Dir(entry), "cwd"))
		if err == nil && cwd == rr.dir {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
			found = append(found, pid)
		}
	}
	return found
}

// exit waits until RoadRunner has ended and returns its exit code.
func (rr *roadrunner) exit() int {
	rr.t.Helper()
	select {
	case <-rr.ended:
		return rr.command.ProcessState.ExitCode()
	case <-time.After(patience):
		rr.t.Fatal("RoadRunner does not end")
		return -1
	}
}

// database connects to PostgreSQL itself, past the pool.
func database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", must(t, "TEST_DSN")+"?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
